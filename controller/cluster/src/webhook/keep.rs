//! Looking after the Secret and the configuration, for as long as the process lives.

use super::{
    certificate::Certificate,
    configuration::Configuration,
    contents::{Contents, certified},
    names::Service,
    plan::{Keeper, Lives},
    server::Shown,
    trouble::Trouble,
};
use crate::{
    api::{Failure, MANAGER, Server},
    metrics::Counts,
    random,
};
use k8s_openapi::api::{
    admissionregistration::v1::ValidatingWebhookConfiguration,
    core::v1::{Secret, Service as ServiceObject},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};
use tokio::time::sleep;

const CONFIGURATION: &str = "ValidatingWebhookConfiguration";
/// How often in a row it is tried again when others have written in between.
const TRIES: usize = 5;

/// Why a look ended early.
enum Ended {
    /// Somebody else has written in between: look again at once.
    Outrun,
    For(Trouble),
}

impl<T: Into<Trouble>> From<T> for Ended {
    fn from(trouble: T) -> Self {
        Self::For(trouble.into())
    }
}

/// Who looks after the certificates of one webhook.
pub(super) struct Keeping {
    server: Server,
    secrets: Api<Secret>,
    services: Api<ServiceObject>,
    configurations: Api<ValidatingWebhookConfiguration>,
    service: Service,
    configuration: String,
    lives: Lives,
    keeper: Keeper,
}

impl Keeping {
    pub(super) fn new(
        client: &Client,
        server: Server,
        service: Service,
        configuration: String,
        lives: Lives,
    ) -> Self {
        Self {
            server,
            secrets: Api::namespaced(client.clone(), &service.namespace),
            services: Api::namespaced(client.clone(), &service.namespace),
            configurations: Api::all(client.clone()),
            keeper: Keeper::new(service.hosts(), lives),
            service,
            configuration,
            lives,
        }
    }

    /// Looks again and again. Each trouble is logged once, until it is over.
    pub(super) async fn keep(mut self, shown: &Shown, counts: &Counts) {
        let webhook = self.service.to_string();
        let mut known = BTreeSet::new();
        loop {
            let troubles = self.look(shown, counts).await;
            let troubles: BTreeSet<String> = troubles.iter().map(Trouble::to_string).collect();
            for trouble in troubles.difference(&known) {
                tracing::warn!(webhook, "{trouble}");
            }
            if troubles.is_empty() && !known.is_empty() {
                tracing::info!(webhook, "is as it should be");
            }
            known = troubles;
            // With some chance, so that processes that began together do not all look at once.
            let chance = f64::from(random()) / f64::from(u32::MAX);
            sleep(self.lives.look.mul_f64(0.5 + 0.5 * chance)).await;
        }
    }

    async fn look(&mut self, shown: &Shown, counts: &Counts) -> Vec<Trouble> {
        for _ in 0..TRIES {
            let mut troubles = Vec::new();
            match self.attempt(shown, counts, &mut troubles).await {
                Ok(()) => return troubles,
                Err(Ended::Outrun) => {}
                Err(Ended::For(trouble)) => {
                    troubles.push(trouble);
                    return troubles;
                }
            }
        }
        vec![Trouble::Contended]
    }

    async fn attempt(
        &mut self,
        shown: &Shown,
        counts: &Counts,
        troubles: &mut Vec<Trouble>,
    ) -> Result<(), Ended> {
        self.check_service(troubles).await;
        // First the configuration, then the Secret: see `Keeper::decide`.
        let configuration = self.read_configuration(troubles).await?;
        let secret = self.read_secret().await?;
        let contents = secret
            .as_ref()
            .and_then(|secret| self.contents(secret, troubles));
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let bundle = configuration.as_ref().map(Configuration::bundle);
        let wanted = self
            .keeper
            .decide(&bundle.unwrap_or_default(), contents, now)?;
        if wanted.is_news {
            self.write_secret(secret, &wanted.contents).await?;
        }
        if let Some(configuration) = configuration {
            match self
                .name_authorities(&configuration, &wanted.contents)
                .await
            {
                Err(Ended::For(trouble)) => troubles.push(trouble),
                done => done?,
            }
        }
        if let Some(pair) = self.keeper.take_up(&wanted.contents, now) {
            shown.show(certified(pair)?);
            let until = pair.certificate.not_after;
            counts.webhook_certificate(until);
            let webhook = self.service.to_string();
            tracing::info!(webhook, "serves a certificate until {}", date(until));
        }
        Ok(())
    }

    async fn check_service(&self, troubles: &mut Vec<Trouble>) {
        let found = self.services.get_opt(&self.service.name);
        match self.server.ask("Service", "get", found).await {
            Ok(Some(_)) => {}
            Ok(None) => troubles.push(Trouble::NoService(self.service.to_string())),
            Err(why) => {
                let name = self.service.to_string();
                troubles.push(request("Service", name, "read", why));
            }
        }
    }

    /// None where there is none, or it is not for us to read. When it is not known, nothing can be decided: whom API servers
    /// trust must not be forgotten.
    async fn read_configuration(
        &self,
        troubles: &mut Vec<Trouble>,
    ) -> Result<Option<Configuration>, Ended> {
        let name = || self.configuration.clone();
        let found = self.configurations.get_opt(&self.configuration);
        match self.server.ask(CONFIGURATION, "get", found).await {
            Ok(Some(found)) => {
                let found = Configuration::of(found);
                if let Some((field, found)) = found.leads_elsewhere(&self.service) {
                    troubles.push(Trouble::Elsewhere {
                        configuration: name(),
                        field,
                        found,
                        allowed: self.service.to_string(),
                    });
                }
                Ok(Some(found))
            }
            Ok(None) => {
                troubles.push(Trouble::NoConfiguration(name()));
                Ok(None)
            }
            Err(why) => {
                let is_forbidden = why.is_forbidden();
                let trouble = request(CONFIGURATION, name(), "read", why);
                if !is_forbidden {
                    return Err(Ended::For(trouble));
                }
                troubles.push(trouble);
                Ok(None)
            }
        }
    }

    /// Writes the bundle to the configuration, unless it is there.
    async fn name_authorities(
        &self,
        configuration: &Configuration,
        contents: &Contents,
    ) -> Result<(), Ended> {
        let bundle: String = contents.bundle().map(Certificate::pem).collect();
        let Some(patch) = configuration.patch(&bundle) else {
            return Ok(());
        };
        let patch = Patch::Strategic(patch);
        let as_us = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let name = &self.configuration;
        let written = self.configurations.patch(name, &as_us, &patch);
        match self.server.ask(CONFIGURATION, "patch", written).await {
            Ok(_) => {
                tracing::info!(configuration = name, "names the authorities of the webhook");
                Ok(())
            }
            Err(why) => Err(ended(why, |why| {
                request(CONFIGURATION, name.clone(), "written", why)
            })),
        }
    }

    fn secret(&self) -> String {
        format!("{}/{}", self.service.namespace, self.service.secret())
    }

    async fn read_secret(&self) -> Result<Option<Secret>, Ended> {
        let name = self.service.secret();
        let found = self.secrets.get_opt(&name);
        let found = self.server.ask("Secret", "get", found).await;
        found.map_err(|why| Ended::For(request("Secret", self.secret(), "read", why)))
    }

    fn contents(&self, secret: &Secret, troubles: &mut Vec<Trouble>) -> Option<Contents> {
        let data = secret.data.clone().unwrap_or_default();
        let read = Contents::read(&data, &self.service.hosts());
        let garbled = |why| Trouble::Garbled {
            name: self.secret(),
            why,
        };
        read.map_err(|why| troubles.push(garbled(why))).ok()
    }

    /// Writes the Secret, if it is still as it was seen.
    async fn write_secret(&self, seen: Option<Secret>, contents: &Contents) -> Result<(), Ended> {
        let name = self.service.secret();
        let as_us = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let is_there = seen.is_some();
        let mut secret = seen.unwrap_or_default();
        secret.metadata.name = Some(name.clone());
        secret.metadata.managed_fields = None;
        secret.data = Some(contents.write());
        let written = match is_there {
            false => {
                let written = self.secrets.create(&as_us, &secret);
                self.server.ask("Secret", "create", written).await
            }
            true => {
                let written = self.secrets.replace(&name, &as_us, &secret);
                self.server.ask("Secret", "update", written).await
            }
        };
        match written {
            Ok(_) => {
                tracing::info!(secret = self.secret(), "has new certificates");
                Ok(())
            }
            Err(why) => Err(ended(why, |why| {
                request("Secret", self.secret(), "written", why)
            })),
        }
    }
}

/// How a write that was refused ends an attempt.
fn ended(why: Failure, trouble: impl FnOnce(Failure) -> Trouble) -> Ended {
    // What is gone since it was read is made anew, or missed, at the next look.
    match why.is_conflict() || why.is_taken() || why.is_not_found() {
        true => Ended::Outrun,
        false => Ended::For(trouble(why)),
    }
}

fn request(kind: &'static str, name: String, verb: &'static str, why: Failure) -> Trouble {
    Trouble::Request {
        kind,
        name,
        verb,
        why,
    }
}

/// A time since 1970, for people.
fn date(at: Duration) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |at| at.to_string())
}
