//! When which certificate is made, and whom API servers are to trust. Pure but for the keys, which are random.
//!
//! What is served must be trusted at every moment, by API servers that hear of a change late, and when some processes hear
//! of it later than others. So a new authority is named to API servers first, and signs only when they have been seen to
//! have it for a while; and an old one stays named until all that it signed has run out.

#[cfg(test)]
mod tests;

use super::{
    certificate::{Certificate, Pair},
    contents::Contents,
};
use rustls::pki_types::CertificateDer;
use std::{cmp::Reverse, collections::HashMap, mem, time::Duration};

/// The most authorities of before that are kept when a Secret is made anew, again and again.
const MOST: usize = 8;
/// More changes than these do not follow each other at one moment, unless the clock is past all that certificates can say.
const CHANGES: usize = 4;

/// How long things are good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lives {
    /// A certificate that is served. What has a third of its life left is renewed.
    pub(super) serving: Duration,
    /// An authority. A third of it is longer than what it signed lasts.
    pub(super) authority: Duration,
    /// After this time all API servers know what the configuration says.
    pub(super) settling: Duration,
    /// How often a process looks.
    pub(super) look: Duration,
}

impl Lives {
    /// What is served lives so long, ten seconds at least; an authority five times as long.
    pub fn of(serving: Duration) -> Self {
        let serving = serving.max(Duration::from_secs(10));
        Self {
            serving,
            authority: serving * 5,
            settling: (serving / 30).min(Duration::from_secs(300)),
            look: (serving / 60).min(Duration::from_secs(30)),
        }
    }
}

impl Default for Lives {
    /// Ninety days, and a year and a quarter.
    fn default() -> Self {
        Self::of(Duration::from_secs(90 * 24 * 3600))
    }
}

/// The authorities that the configuration names, and since when it was seen to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trusted(HashMap<CertificateDer<'static>, Duration>);

impl Trusted {
    /// What is known after `bundle` was seen at `now`.
    pub(super) fn after(&self, bundle: &[Certificate], now: Duration) -> Self {
        let since = |der| self.0.get(der).copied().unwrap_or(now);
        let named = bundle
            .iter()
            .map(|each| (each.der.clone(), since(&each.der)));
        Self(named.collect())
    }

    fn names(&self, authority: &Certificate) -> bool {
        self.0.contains_key(&authority.der)
    }

    /// Whether all API servers know it.
    fn has_settled(&self, authority: &Certificate, now: Duration, lives: &Lives) -> bool {
        let since = self.0.get(&authority.der);
        since.is_some_and(|since| now.saturating_sub(*since) >= lives.settling)
    }
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Make the next authority.
    Prepare,
    /// Have the next authority sign from now on.
    Switch,
    /// Renew what is served.
    Renew,
    /// Leave out old authorities that hold no more.
    Forget,
}

fn due(contents: &Contents, trusted: &Trusted, now: Duration, lives: &Lives) -> Option<Change> {
    let issuer = &contents.issuer.certificate;
    let serving = &contents.serving.certificate;
    let is_late = |certificate: &Certificate, life: Duration| {
        now >= certificate.not_after.saturating_sub(life / 3)
    };
    if contents.old.iter().any(|old| old.is_over(now)) {
        return Some(Change::Forget);
    }
    match &contents.next {
        None if is_late(issuer, lives.authority) => Some(Change::Prepare),
        Some(next) if next.certificate.is_over(now) => Some(Change::Prepare),
        Some(next) if issuer.is_over(now) || trusted.has_settled(&next.certificate, now, lives) => {
            Some(Change::Switch)
        }
        // What it would sign anew must not end where the old one ends.
        _ if is_late(serving, lives.serving) && serving.not_after < issuer.not_after => {
            Some(Change::Renew)
        }
        _ => None,
    }
}

/// All that a process knows of certificates, from one look to the next.
#[derive(Debug)]
pub(super) struct Keeper {
    hosts: [String; 2],
    lives: Lives,
    trusted: Trusted,
    served: Option<Served>,
}

/// What is served, and who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Served {
    pair: Pair,
    issuer: Certificate,
}

/// What is to be written.
#[derive(Debug)]
pub(super) struct Wanted {
    /// What the Secret is to hold.
    pub(super) contents: Contents,
    /// Whether it does not yet.
    pub(super) is_news: bool,
}

impl Keeper {
    pub(super) fn new(hosts: [String; 2], lives: Lives) -> Self {
        Self {
            hosts,
            lives,
            trusted: Trusted::default(),
            served: None,
        }
    }

    /// What follows from what the configuration and then the Secret were seen to hold. The order matters: who writes the
    /// configuration as it was seen knows at least what those who wrote it before knew.
    ///
    /// `bundle` is empty where there is no configuration, or it cannot be read.
    ///
    /// # Errors
    /// When a key cannot be made.
    pub(super) fn decide(
        &mut self,
        bundle: &[Certificate],
        secret: Option<Contents>,
        now: Duration,
    ) -> Result<Wanted, rcgen::Error> {
        self.trusted = self.trusted.after(bundle, now);
        let (mut contents, mut is_news) = match secret {
            Some(contents) => (contents, false),
            None => (self.begin(now)?, true),
        };
        let missed = self.missed(&contents, bundle, now);
        is_news |= !missed.is_empty();
        contents.old.extend(missed);
        for _ in 0..CHANGES {
            let Some(change) = due(&contents, &self.trusted, now, &self.lives) else {
                break;
            };
            self.change(&mut contents, change, now)?;
            is_news = true;
        }
        Ok(Wanted { contents, is_news })
    }

    fn begin(&self, now: Duration) -> Result<Contents, rcgen::Error> {
        let issuer = self.authority(now)?;
        Ok(Contents {
            serving: self.sign(&issuer, now)?,
            issuer,
            next: None,
            old: Vec::new(),
        })
    }

    fn change(
        &self,
        contents: &mut Contents,
        change: Change,
        now: Duration,
    ) -> Result<(), rcgen::Error> {
        match change {
            Change::Prepare => contents.next = Some(self.authority(now)?),
            Change::Switch => {
                if let Some(next) = contents.next.take() {
                    contents.serving = self.sign(&next, now)?;
                    let before = mem::replace(&mut contents.issuer, next);
                    contents.old.push(before.certificate);
                }
            }
            Change::Renew => contents.serving = self.sign(&contents.issuer, now)?,
            Change::Forget => contents.old.retain(|old| !old.is_over(now)),
        }
        Ok(())
    }

    fn authority(&self, now: Duration) -> Result<Pair, rcgen::Error> {
        Pair::authority(now, now.saturating_add(self.lives.authority))
    }

    fn sign(&self, by: &Pair, now: Duration) -> Result<Pair, rcgen::Error> {
        by.sign(&self.hosts, now, now.saturating_add(self.lives.serving))
    }

    /// Authorities of a Secret that was lost, as the configuration names them: others still serve what they signed.
    fn missed(
        &self,
        contents: &Contents,
        bundle: &[Certificate],
        now: Duration,
    ) -> Vec<Certificate> {
        let longest = now.saturating_add(self.lives.authority);
        let is_one = |each: &&Certificate| {
            let is_alive = !each.is_over(now) && each.not_after <= longest;
            each.is_ours() && is_alive && !contents.bundle().any(|known| known == *each)
        };
        let mut missed: Vec<_> = bundle.iter().filter(is_one).cloned().collect();
        missed.sort_by_key(|each| Reverse(each.not_after));
        missed.truncate(MOST.saturating_sub(contents.old.len()));
        missed
    }

    /// Takes up what the Secret holds, and returns it, if it is to be served from now on. It is not as long as something is
    /// served that API servers trust, and they do not all know who signed the new one: that is so where a Secret was lost.
    pub(super) fn take_up(&mut self, contents: &Contents, now: Duration) -> Option<&Pair> {
        let offered = Served {
            pair: contents.serving.clone(),
            issuer: contents.issuer.certificate.clone(),
        };
        let is_better = match &self.served {
            None => true,
            Some(served) if *served == offered => false,
            Some(served) => {
                served.pair.certificate.is_over(now)
                    || !self.trusted.names(&served.issuer)
                    || self.trusted.has_settled(&offered.issuer, now, &self.lives)
            }
        };
        is_better.then(|| &self.served.insert(offered).pair)
    }
}
