//! What comes after the steps, and what goes past them: the watch, ways back, and the deadline.

use super::scenario::check;

#[test]
fn the_old_version_stays_warm_and_a_verdict_returns_to_it_by_one_table() {
    check(
        "steps pause
         watch 60s
         revision v2
         wait 1s
         promote
         wait 30s
         verdict errors 9% against 0.1%
         wait 1s
         retry
         wait 1s
         promote
         wait 120s",
        "t+0s Healthy 1/1 stable=v1@First weight=0%: revision v1 is the first and serves all requests
         t+0s Progressing 0/1 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Paused 0/1 stable=v1@First weight=0%: paused by the step until promoted or resumed
         t+1s Progressing 1/1 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 0%
         t+1.01s Progressing 1/1 stable=v1@First weight=100%: the canary has all traffic; revision v1 is kept warm for a way back until 1970-01-01T00:01:01Z
         t+31s Degraded 0/1 stable=v1@First weight=0%: revision v2: rolled back: errors 9% against 0.1%
         t+32s Progressing 0/1 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+32.1s Paused 0/1 stable=v1@First weight=0%: paused by the step until promoted or resumed
         t+33s Progressing 1/1 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 0%
         t+33.01s Progressing 1/1 stable=v1@First weight=100%: the canary has all traffic; revision v1 is kept warm for a way back until 1970-01-01T00:01:33Z
         t+93.01s Healthy 1/1 stable=v2@Second weight=0%: revision v2 was promoted and serves all requests",
    );
}

#[test]
fn the_watch_ends_by_a_persons_word_and_an_undo_before_gives_the_traffic_back() {
    check(
        "steps
         watch 60s
         revision v2
         wait 1s
         undo
         retry
         wait 1s
         promote
         undo
         undo v9
         undo v1
         wait 1s
         undo
         revision v1
         wait 1s",
        "t+0s Healthy 0/0 stable=v1@First weight=0%: revision v1 is the first and serves all requests
         t+0s Progressing 0/0 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 0/0 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 0%
         t+0.11s Progressing 0/0 stable=v1@First weight=100%: the canary has all traffic; revision v1 is kept warm for a way back until 1970-01-01T00:01:00Z
         t+1s Degraded 0/0 stable=v1@First weight=0%: revision v2: undone by alice
         t+1s Progressing 0/0 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+1.01s Progressing 0/0 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 0%
         t+1.02s Progressing 0/0 stable=v1@First weight=100%: the canary has all traffic; revision v1 is kept warm for a way back until 1970-01-01T00:01:01Z
         t+2s Healthy 0/0 stable=v2@Second weight=0%: revision v2 was promoted and serves all requests
         t+2s cannot undo: no earlier version is kept warm; see that it runs in the other Service, then name its revision (undo --to-revision v1), or put its template back; a new revision starts a canary
         t+2s cannot undo --to-revision v9: no earlier version is kept warm; see that it runs in the other Service, then name its revision (undo --to-revision v1), or put its template back; a new revision starts a canary
         t+2s Degraded 0/0 stable=v1@First weight=0%: revision v2: undone by alice
         t+3s Healthy 0/0 stable=v1@First weight=0%: revision v1 was asked for again and serves all requests",
    );
}

#[test]
fn a_revision_of_the_rollback_window_goes_past_the_steps() {
    check(
        "steps 25%, pause
         revision v2
         promote --full
         wait 1s
         revision v3
         promote --full
         wait 1s
         window 1
         revision v1
         wait 1s
         window 2
         revision v3
         revision v1
         wait 1s
         revision v3
         wait 1s",
        "t+0s Progressing 0/2 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+0.1s Progressing 2/2 stable=v1@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 0%
         t+0.11s Healthy 2/2 stable=v2@Second weight=0%: revision v2 was promoted past all steps and serves all requests
         t+1s Progressing 0/2 stable=v2@Second weight=0%: revision v3 begins as the canary, without traffic
         t+1.1s Progressing 2/2 stable=v2@Second weight=100%: waiting for the proxies to serve 100% to the canary; they serve 0%
         t+1.11s Healthy 2/2 stable=v3@First weight=0%: revision v3 was promoted past all steps and serves all requests
         t+2s Progressing 0/2 stable=v3@First weight=0%: revision v1 begins as the canary, without traffic
         t+2.1s Progressing 0/2 stable=v3@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+2.11s Paused 1/2 stable=v3@First weight=25%: paused by the step until promoted or resumed
         t+3s Healthy 2/2 stable=v3@First weight=0%: revision v3 was asked for again and serves all requests
         t+3s Progressing 0/2 stable=v3@First weight=0%: revision v1 begins as the canary, without traffic
         t+3.01s Progressing 2/2 stable=v3@First weight=100%: waiting for the proxies to serve 100% to the canary; they serve 0%
         t+3.02s Healthy 2/2 stable=v1@Second weight=0%: revision v1 was promoted past all steps and serves all requests
         t+4s Progressing 0/2 stable=v1@Second weight=0%: revision v3 begins as the canary, without traffic
         t+4.1s Progressing 0/2 stable=v1@Second weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+4.11s Paused 1/2 stable=v1@Second weight=25%: paused by the step until promoted or resumed",
    );
}

#[test]
fn a_canary_without_progress_is_told_late_and_aborted_where_the_plan_says_so() {
    check(
        "steps 25%, pause
         deadline 30s
         canary-endpoints 0
         revision v2
         wait 60s
         canary-endpoints 1
         wait 3600s
         deadline-abort 30s
         wait 3600s
         canary-endpoints 0
         wait 60s",
        "t+0s Healthy 2/2 stable=v1@First weight=0%: revision v1 is the first and serves all requests
         t+0s Progressing 0/2 stable=v1@First weight=0%: the canary has no endpoints and gets no traffic until it has some
         t+30s Degraded 0/2 stable=v1@First weight=0%: no progress in time: the canary has no endpoints and gets no traffic until it has some
         t+60s Progressing 0/2 stable=v1@First weight=0%: revision v2 begins as the canary, without traffic
         t+60.1s Progressing 0/2 stable=v1@First weight=25%: waiting for the proxies to serve 25% to the canary; they serve 0%
         t+60.11s Paused 1/2 stable=v1@First weight=25%: paused by the step until promoted or resumed
         t+7260s Progressing 1/2 stable=v1@First weight=0%: the canary has no endpoints and gets no traffic until it has some
         t+7290s Degraded 0/2 stable=v1@First weight=0%: revision v2: no progress in time: the canary has no endpoints and gets no traffic until it has some",
    );
}
