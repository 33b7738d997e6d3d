use scenario::check;

mod invariants;
mod model;
mod properties;
mod scenario;
mod watch;
mod world;

#[test]
fn a_new_revision_takes_the_steps_and_becomes_stable_in_the_other_slot() {
    check(
        "steps 25%, pause 30s, scale, 50%, pause
         revision v2
         wait 60s
         promote
         wait 1s
         revision v3
         wait 1s
         promote --full
         wait 1s",
        "t+0s Progressing 0/5 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/5 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+0.11s Paused 1/5 stable=v1@First weight=25%: paused by the step until 1970-01-01T00:00:30Z
         t+30.11s Progressing 3/5 stable=v1@First weight=50%: waiting for the proxies to serve 50% to the canary; they serve 25%
         t+30.12s Paused 4/5 stable=v1@First weight=50%: paused by the step until promoted or resumed
         t+60s Progressing 5/5 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 50%
         t+60.01s Healthy 5/5 stable=v2@Second weight=0%: revision v2 was promoted and serves all requests
         t+61s Progressing 0/5 stable=v2@Second weight=0%: revision v3 begins as the canary, without traffic
         t+61.1s Progressing 0/5 stable=v2@Second weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+61.11s Paused 1/5 stable=v2@Second weight=25%: paused by the step until 1970-01-01T00:01:31Z
         t+62s Progressing 5/5 stable=v2@Second weight=100%: waiting for the proxies to serve 100% to the canary; they serve 25%
         t+62.01s Healthy 5/5 stable=v3@First weight=0%: revision v3 was promoted past all steps and serves all requests",
    );
}

#[test]
fn without_steps_a_canary_gets_all_traffic_at_once() {
    check(
        "steps
         revision v2
         wait 1s",
        "t+0s Progressing 0/0 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/0 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 0%
         t+0.11s Healthy 0/0 stable=v2@Second weight=0%: revision v2 was promoted and serves all requests",
    );
}

#[test]
fn a_verdict_takes_all_traffic_at_once_and_for_good() {
    check(
        "steps route beta, 25%, pause
         revision v2
         wait 1s
         proxies lag
         canary-endpoints 0
         stable-endpoints 0
         verdict errors 9% against 0.1%
         wait 3600s
         verdict none
         wait 3600s
         promote
         restart
         wait 1s",
        "t+0s Progressing 0/3 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 1/3 stable=v1@First weight=25% routes=beta: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+0.11s Paused 2/3 stable=v1@First weight=25% routes=beta: paused by the step until promoted or resumed
         t+1s Progressing 2/3 stable=v1@First weight=0%: the canary has no endpoints and gets no traffic until it has some
         t+1s Degraded 0/3 stable=v1@First weight=0%: revision v2: rolled back: errors 9% against 0.1%
         t+7201s cannot promote: revision v2 is aborted; allowed: retry",
    );
}

#[test]
fn a_verdict_comes_before_a_pause_and_before_the_last_acknowledgement() {
    check(
        "steps 25%, pause
         revision v2
         wait 1s
         pause
         verdict latency p99
         retry
         wait 1s
         proxies lag
         promote --full
         wait 1s
         verdict errors
         proxies follow
         wait 1s",
        "t+0s Progressing 0/2 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/2 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+0.11s Paused 1/2 stable=v1@First weight=25%: paused by the step until promoted or resumed
         t+1s Paused 1/2 stable=v1@First weight=25%: paused by a person until resumed
         t+1s Degraded 0/2 stable=v1@First weight=0%: revision v2: rolled back: latency p99
         t+1s Progressing 0/2 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+1.01s Progressing 0/2 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+1.02s Paused 1/2 stable=v1@First weight=25%: paused by the step until promoted or resumed
         t+2s Progressing 2/2 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 25%
         t+3s Progressing 2/2 stable=v1@First weight=100%: waiting for every proxy to serve 100% to the canary; they differ
         t+3s Degraded 0/2 stable=v1@First weight=0%: revision v2: rolled back: errors",
    );
}

#[test]
fn a_verdict_on_one_trial_says_nothing_about_the_next() {
    check(
        "steps 25%, pause
         revision v2
         wait 1s
         verdict errors
         retry
         wait 1s
         verdict errors
         revision v3
         wait 1s",
        "t+0s Progressing 0/2 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/2 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+0.11s Paused 1/2 stable=v1@First weight=25%: paused by the step until promoted or resumed
         t+1s Degraded 0/2 stable=v1@First weight=0%: revision v2: rolled back: errors
         t+1s Progressing 0/2 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+1.01s Progressing 0/2 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+1.02s Paused 1/2 stable=v1@First weight=25%: paused by the step until promoted or resumed
         t+2s Degraded 0/2 stable=v1@First weight=0%: revision v2: rolled back: errors
         t+2s Progressing 0/2 stable=v1@First weight=0%: revision v3 begins as the canary, without traffic
         t+2.01s Progressing 0/2 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+2.02s Paused 1/2 stable=v1@First weight=25%: paused by the step until promoted or resumed",
    );
}

#[test]
fn without_a_guard_no_judgement_acts() {
    check(
        "steps 25%, pause 10s
         guard off
         revision v2
         wait 1s
         verdict errors
         wait 1s
         hold stable fails
         wait 20s",
        "t+0s Healthy 2/2 stable=v1@First weight=0%: revision v1 is the first and serves all requests
         t+0s Progressing 0/2 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/2 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+0.11s Paused 1/2 stable=v1@First weight=25%: paused by the step until 1970-01-01T00:00:10Z
         t+10.11s Progressing 2/2 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 25%
         t+10.12s Healthy 2/2 stable=v2@Second weight=0%: revision v2 was promoted and serves all requests",
    );
}

#[test]
fn a_hold_keeps_the_step_however_long_it_takes() {
    check(
        "steps 25%, pause 10s, 50%, evidence 0s 60s promote
         revision v2
         wait 1s
         hold stable fails 20% itself
         wait 60s
         verdict none
         wait 1s
         hold stable fails 20% itself
         wait 3600s
         promote --full
         wait 1s",
        "t+0s Progressing 0/4 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/4 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+0.11s Paused 1/4 stable=v1@First weight=25%: paused by the step until 1970-01-01T00:00:10Z
         t+1s Progressing 1/4 stable=v1@First weight=25%: held: stable fails 20% itself
         t+61s Progressing 2/4 stable=v1@First weight=50%: waiting for the proxies to serve 50% to the canary; they serve 25%
         t+61.01s Progressing 3/4 stable=v1@First weight=50%: waiting for evidence that more traffic does little harm, until 1970-01-01T00:02:01Z
         t+62s Progressing 3/4 stable=v1@First weight=50%: held: stable fails 20% itself
         t+3662s Progressing 4/4 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 50%
         t+3662.01s Healthy 4/4 stable=v2@Second weight=0%: revision v2 was promoted past all steps and serves all requests",
    );
}

#[test]
fn a_cure_waits_for_nobody_but_people() {
    check(
        "steps 25%, pause 3600s, 50%, pause, evidence 3600s 7200s hold
         revision v2
         wait 1s
         forward stable fails
         wait 1s
         promote
         wait 1s",
        "t+0s Progressing 0/5 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/5 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+0.11s Paused 1/5 stable=v1@First weight=25%: paused by the step until 1970-01-01T01:00:00Z
         t+1s Progressing 2/5 stable=v1@First weight=50%: waiting for the proxies to serve 50% to the canary; they serve 25%
         t+1.01s Paused 3/5 stable=v1@First weight=50%: paused by the step until promoted or resumed
         t+2s Progressing 5/5 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 50%
         t+2.01s Healthy 5/5 stable=v2@Second weight=0%: revision v2 was promoted and serves all requests",
    );
}

#[test]
fn evidence_ends_its_step_after_the_least_duration() {
    check(
        "steps 5%, evidence 10s 60s hold, 50%, evidence 0s 60s hold
         revision v2
         wait 5s
         evidence met
         wait 10s
         evidence met
         wait 1s",
        "t+0s Progressing 0/4 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/4 stable=v1@First weight=5%: waiting for the proxies to serve 5% to the canary; they serve 0%
         t+0.11s Progressing 1/4 stable=v1@First weight=5%: waiting for evidence that more traffic does little harm, until 1970-01-01T00:01:00Z
         t+5s Progressing 1/4 stable=v1@First weight=5%: the evidence is there; the step's least duration ends at 1970-01-01T00:00:10Z
         t+10.11s Progressing 2/4 stable=v1@First weight=50%: waiting for the proxies to serve 50% to the canary; they serve 5%
         t+10.12s Progressing 3/4 stable=v1@First weight=50%: waiting for evidence that more traffic does little harm, until 1970-01-01T00:01:10Z
         t+15s Progressing 4/4 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 50%
         t+15.01s Healthy 4/4 stable=v2@Second weight=0%: revision v2 was promoted and serves all requests",
    );
}

#[test]
fn each_evidence_step_needs_its_own_evidence() {
    check(
        "steps 5%, evidence 0s 60s hold, evidence 0s 60s hold
         revision v2
         wait 1s
         evidence met
         wait 1s
         evidence met
         wait 1s",
        "t+0s Progressing 0/3 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/3 stable=v1@First weight=5%: waiting for the proxies to serve 5% to the canary; they serve 0%
         t+0.11s Progressing 1/3 stable=v1@First weight=5%: waiting for evidence that more traffic does little harm, until 1970-01-01T00:01:00Z
         t+1s Progressing 2/3 stable=v1@First weight=5%: waiting for evidence that more traffic does little harm, until 1970-01-01T00:01:01Z
         t+2s Progressing 3/3 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 5%
         t+2.01s Healthy 3/3 stable=v2@Second weight=0%: revision v2 was promoted and serves all requests",
    );
}

#[test]
fn changed_steps_end_an_inconclusive_pause() {
    check(
        "steps 5%, evidence 0s 60s hold
         revision v2
         wait 100s
         steps 10%, evidence 0s 60s hold
         wait 1s",
        "t+0s Progressing 0/2 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/2 stable=v1@First weight=5%: waiting for the proxies to serve 5% to the canary; they serve 0%
         t+0.11s Progressing 1/2 stable=v1@First weight=5%: waiting for evidence that more traffic does little harm, until 1970-01-01T00:01:00Z
         t+60.11s Paused 1/2 stable=v1@First weight=5%: the evidence stayed inconclusive; promote, resume or abort decides
         t+100s Progressing 0/2 stable=v1@First weight=10%: waiting for the proxies to serve 10% to the canary; they serve 5%
         t+100.01s Progressing 1/2 stable=v1@First weight=10%: waiting for evidence that more traffic does little harm, until 1970-01-01T00:02:40Z",
    );
}

#[test]
fn a_promotion_past_all_steps_waits_for_the_start_and_outlives_changed_steps() {
    check(
        "steps 5%, pause
         revision v2
         promote --full
         wait 0s
         proxies lag
         wait 1s
         steps 10%, pause
         wait 1s
         proxies follow
         wait 1s",
        "t+0s Progressing 0/2 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 2/2 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 0%
         t+1s Progressing 2/2 stable=v1@First weight=100%: waiting for every proxy to serve 100% to the canary; they differ
         t+2.01s Healthy 2/2 stable=v2@Second weight=0%: revision v2 was promoted past all steps and serves all requests",
    );
}

#[test]
fn missing_evidence_pauses_and_a_resume_tries_again() {
    check(
        "steps 5%, evidence 10s 60s hold
         revision v2
         wait 100s
         evidence met
         wait 100s
         evidence pending
         resume
         wait 100s
         promote
         wait 1s",
        "t+0s Progressing 0/2 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/2 stable=v1@First weight=5%: waiting for the proxies to serve 5% to the canary; they serve 0%
         t+0.11s Progressing 1/2 stable=v1@First weight=5%: waiting for evidence that more traffic does little harm, until 1970-01-01T00:01:00Z
         t+60.11s Paused 1/2 stable=v1@First weight=5%: the evidence stayed inconclusive; promote, resume or abort decides
         t+200s Progressing 1/2 stable=v1@First weight=5%: waiting for evidence that more traffic does little harm, until 1970-01-01T00:04:20Z
         t+260s Paused 1/2 stable=v1@First weight=5%: the evidence stayed inconclusive; promote, resume or abort decides
         t+300s Progressing 2/2 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 5%
         t+300.01s Healthy 2/2 stable=v2@Second weight=0%: revision v2 was promoted and serves all requests",
    );
}

#[test]
fn missing_evidence_aborts_or_goes_on_where_the_step_says_so() {
    check(
        "steps 5%, evidence 10s 60s promote, 10%, evidence 0s 30s abort
         revision v2
         wait 200s",
        "t+0s Progressing 0/4 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/4 stable=v1@First weight=5%: waiting for the proxies to serve 5% to the canary; they serve 0%
         t+0.11s Progressing 1/4 stable=v1@First weight=5%: waiting for evidence that more traffic does little harm, until 1970-01-01T00:01:00Z
         t+60.11s Progressing 2/4 stable=v1@First weight=10%: waiting for the proxies to serve 10% to the canary; they serve 5%
         t+60.12s Progressing 3/4 stable=v1@First weight=10%: waiting for evidence that more traffic does little harm, until 1970-01-01T00:01:30Z
         t+90.12s Degraded 0/4 stable=v1@First weight=0%: revision v2: evidence of steps[3] stayed inconclusive",
    );
}

#[test]
fn a_canary_without_endpoints_gets_no_traffic_and_does_not_move() {
    check(
        "steps route beta, 25%, pause 10s
         canary-endpoints 0
         revision v2
         wait 60s
         canary-endpoints 1
         wait 5s
         canary-endpoints 0
         wait 60s
         canary-endpoints 1
         wait 1s",
        "t+0s Healthy 3/3 stable=v1@First weight=0%: revision v1 is the first and serves all requests
         t+0s Progressing 0/3 stable=v1@First weight=0%: the canary has no endpoints and gets no traffic until it has some
         t+60s Progressing 0/3 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+60.1s Progressing 1/3 stable=v1@First weight=25% routes=beta: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+60.11s Paused 2/3 stable=v1@First weight=25% routes=beta: paused by the step until 1970-01-01T00:01:10Z
         t+65s Progressing 2/3 stable=v1@First weight=0%: the canary has no endpoints and gets no traffic until it has some
         t+125s Paused 2/3 stable=v1@First weight=25% routes=beta: paused by the step until 1970-01-01T00:02:15Z",
    );
}

#[test]
fn a_weight_is_reached_when_every_proxy_serves_it() {
    check(
        "steps 25%, 50%
         revision v2
         proxies lag
         wait 60s
         proxies follow
         wait 1s",
        "t+0s Progressing 0/2 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/2 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+60s Progressing 0/2 stable=v1@First weight=25%: waiting for every proxy to serve 25% to the canary; they differ
         t+60.01s Progressing 1/2 stable=v1@First weight=50%: waiting for the proxies to serve 50% to the canary; they serve 25%
         t+60.02s Progressing 2/2 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 50%
         t+60.03s Healthy 2/2 stable=v2@Second weight=0%: revision v2 was promoted and serves all requests",
    );
}

#[test]
fn a_canary_that_is_superseded_loses_its_traffic_before_the_next_begins() {
    check(
        "steps route beta, 25%, pause
         revision v2
         wait 1s
         proxies lag
         revision v3
         wait 60s
         proxies follow
         wait 1s",
        "t+0s Progressing 0/3 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 1/3 stable=v1@First weight=25% routes=beta: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+0.11s Paused 2/3 stable=v1@First weight=25% routes=beta: paused by the step until promoted or resumed
         t+1s Progressing 0/3 stable=v1@First weight=0%: revision v3 begins as the canary, without traffic
         t+1.1s Progressing 0/3 stable=v1@First weight=0%: waiting for every proxy to serve 0% to the canary; they differ
         t+61.01s Progressing 1/3 stable=v1@First weight=25% routes=beta: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+61.02s Paused 2/3 stable=v1@First weight=25% routes=beta: paused by the step until promoted or resumed",
    );
}

#[test]
fn the_stable_revision_asked_for_again_ends_the_canary() {
    check(
        "steps 25%, pause
         revision v2
         wait 1s
         revision v1
         wait 1s
         revision v2
         wait 1s
         abort alice
         revision v1
         wait 1s",
        "t+0s Progressing 0/2 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/2 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+0.11s Paused 1/2 stable=v1@First weight=25%: paused by the step until promoted or resumed
         t+1s Healthy 2/2 stable=v1@First weight=0%: revision v1 was asked for again and serves all requests
         t+2s Progressing 0/2 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+2.1s Progressing 0/2 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+2.11s Paused 1/2 stable=v1@First weight=25%: paused by the step until promoted or resumed
         t+3s Degraded 0/2 stable=v1@First weight=0%: revision v2: aborted by alice
         t+3s Healthy 2/2 stable=v1@First weight=0%: revision v1 was asked for again and serves all requests",
    );
}

#[test]
fn changed_steps_start_again_with_what_the_first_asks_for() {
    check(
        "steps 25%, pause, 50%, pause
         revision v2
         wait 1s
         promote
         wait 1s
         steps 10%, pause
         wait 1s
         pause
         steps 80%, pause
         wait 1s
         resume
         wait 1s",
        "t+0s Progressing 0/4 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/4 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+0.11s Paused 1/4 stable=v1@First weight=25%: paused by the step until promoted or resumed
         t+1s Progressing 2/4 stable=v1@First weight=50%: waiting for the proxies to serve 50% to the canary; they serve 25%
         t+1.01s Paused 3/4 stable=v1@First weight=50%: paused by the step until promoted or resumed
         t+2s Progressing 0/2 stable=v1@First weight=10%: waiting for the proxies to serve 10% to the canary; they serve 50%
         t+2.01s Paused 1/2 stable=v1@First weight=10%: paused by the step until promoted or resumed
         t+3s Paused 1/2 stable=v1@First weight=10%: paused by a person until resumed
         t+4s Progressing 0/2 stable=v1@First weight=80%: waiting for the proxies to serve 80% to the canary; they serve 10%
         t+4.01s Paused 1/2 stable=v1@First weight=80%: paused by the step until promoted or resumed",
    );
}

#[test]
fn a_restart_keeps_the_step_and_its_clock() {
    check(
        "steps 25%, pause 60s, 50%, pause
         revision v2
         wait 31s
         restart
         wait 30s",
        "t+0s Progressing 0/4 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/4 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+0.11s Paused 1/4 stable=v1@First weight=25%: paused by the step until 1970-01-01T00:01:00Z
         t+60.11s Progressing 2/4 stable=v1@First weight=50%: waiting for the proxies to serve 50% to the canary; they serve 25%
         t+60.12s Paused 3/4 stable=v1@First weight=50%: paused by the step until promoted or resumed",
    );
}

#[test]
fn a_pause_by_a_person_outlives_the_revision() {
    check(
        "steps 25%, pause 10s, 50%, pause
         revision v2
         wait 1s
         pause
         pause
         wait 60s
         revision v3
         wait 60s
         resume
         wait 1s
         resume
         wait 20s
         resume
         wait 1s",
        "t+0s Progressing 0/4 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/4 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+0.11s Paused 1/4 stable=v1@First weight=25%: paused by the step until 1970-01-01T00:00:10Z
         t+1s Paused 1/4 stable=v1@First weight=25%: paused by a person until resumed
         t+61s Paused 0/4 stable=v1@First weight=0%: paused by a person until resumed
         t+121s Progressing 0/4 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+121.01s Paused 1/4 stable=v1@First weight=25%: paused by the step until 1970-01-01T00:02:11Z
         t+122s Progressing 2/4 stable=v1@First weight=50%: waiting for the proxies to serve 50% to the canary; they serve 25%
         t+122.01s Paused 3/4 stable=v1@First weight=50%: paused by the step until promoted or resumed
         t+142s Progressing 4/4 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 50%
         t+142.01s Healthy 4/4 stable=v3@Second weight=0%: revision v3 was promoted and serves all requests",
    );
}

#[test]
fn a_pause_in_the_spec_ends_there_only() {
    check(
        "steps 25%, pause 10s, 50%, pause
         spec.paused true
         revision v2
         wait 60s
         resume
         promote --full
         spec.paused false
         wait 1s
         spec.paused true
         wait 60s
         pause
         spec.paused false
         wait 1s
         resume
         wait 1s
         spec.paused true
         abort alice",
        "t+0s Paused 4/4 stable=v1@First weight=0%: revision v1 is the first and serves all requests
         t+0s Paused 0/4 stable=v1@First weight=0%: paused by spec.paused
         t+60s cannot resume: the spec says paused: true, and goes before verbs; allowed: pause, abort
         t+60s cannot promote --full: the spec says paused: true, and goes before verbs; allowed: pause, abort
         t+60s Progressing 0/4 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+60.01s Paused 1/4 stable=v1@First weight=25%: paused by the step until 1970-01-01T00:01:10Z
         t+61s Paused 1/4 stable=v1@First weight=25%: paused by spec.paused
         t+121s Paused 1/4 stable=v1@First weight=25%: paused by a person until resumed
         t+122s Progressing 2/4 stable=v1@First weight=50%: waiting for the proxies to serve 50% to the canary; they serve 25%
         t+122.01s Paused 3/4 stable=v1@First weight=50%: paused by the step until promoted or resumed
         t+123s Paused 3/4 stable=v1@First weight=50%: paused by spec.paused
         t+123s Degraded 0/4 stable=v1@First weight=0%: revision v2: aborted by alice",
    );
}

#[test]
fn promote_goes_on_from_whatever_the_step_waits_for() {
    check(
        "steps 25%, evidence 10s 60s hold, 50%, pause 60s
         revision v2
         promote
         wait 1s
         promote
         proxies lag
         wait 1s
         promote
         promote
         promote
         proxies follow
         wait 1s
         promote",
        "t+0s Progressing 0/4 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0s cannot promote: the first step of revision v2 has not begun; allowed: promote --full, pause, abort
         t+0.1s Progressing 0/4 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+0.11s Progressing 1/4 stable=v1@First weight=25%: waiting for evidence that more traffic does little harm, until 1970-01-01T00:01:00Z
         t+1s Progressing 2/4 stable=v1@First weight=50%: waiting for the proxies to serve 50% to the canary; they serve 25%
         t+1s Progressing 2/4 stable=v1@First weight=50%: waiting for every proxy to serve 50% to the canary; they differ
         t+2s Paused 3/4 stable=v1@First weight=50%: paused by the step until 1970-01-01T00:01:02Z
         t+2s Progressing 4/4 stable=v1@First weight=100%: waiting for every proxy to serve 100% to the canary; they differ
         t+2.01s Healthy 4/4 stable=v2@Second weight=0%: revision v2 was promoted and serves all requests
         t+3s cannot promote: revision v2 is stable and there is no canary; a new revision starts a canary",
    );
}

#[test]
fn abort_and_retry_do_what_they_say_once() {
    check(
        "steps 25%, pause
         abort alice
         revision v2
         wait 1s
         retry
         abort alice
         abort bob
         pause
         wait 1s
         retry
         retry
         wait 1s",
        "t+0s cannot abort: revision v1 is stable and there is no canary; a new revision starts a canary
         t+0s Healthy 2/2 stable=v1@First weight=0%: revision v1 is the first and serves all requests
         t+0s Progressing 0/2 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/2 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+0.11s Paused 1/2 stable=v1@First weight=25%: paused by the step until promoted or resumed
         t+1s cannot retry: revision v2 is not aborted; allowed: promote, promote --full, pause, resume, abort
         t+1s Degraded 0/2 stable=v1@First weight=0%: revision v2: aborted by alice
         t+1s cannot pause: revision v2 is aborted; allowed: retry
         t+2s Progressing 0/2 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+2s cannot retry: revision v2 is not aborted; allowed: promote --full, pause, abort
         t+2.1s Progressing 0/2 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+2.11s Paused 1/2 stable=v1@First weight=25%: paused by the step until promoted or resumed",
    );
}

#[test]
fn a_stable_without_endpoints_is_told() {
    check(
        "steps 25%
         stable-endpoints 0
         revision v2
         wait 1s",
        "t+0s Healthy 1/1 stable=v1@First weight=0%: revision v1 is stable but has no endpoints
         t+0s Progressing 0/1 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/1 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+0.11s Progressing 1/1 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 25%
         t+0.12s Healthy 1/1 stable=v2@Second weight=0%: revision v2 is stable but has no endpoints",
    );
}
