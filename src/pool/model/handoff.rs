//! Connections on their way from one caller to the next.

use super::*;

#[test]
fn rule_06_three_callers_of_one_connection_are_served_one_by_one() {
    Explore::with(1, 1, Validation::None).exhaustive(4000).run(|pool| {
        let callers = [(); 3].map(|()| caller(&pool, visit));
        all_are_served(&pool, callers);
    });
}

#[test]
fn rule_06_four_callers_of_two_connections_are_all_served() {
    Explore::with(0, 2, Validation::Socket).run(|pool| {
        let callers = [(); 4].map(|()| caller(&pool, visit));
        all_are_served(&pool, callers);
    });
}

#[test]
fn rule_06_a_discarded_connection_is_replaced_for_the_one_who_waits() {
    Explore::with(0, 1, Validation::Socket).run(|pool| {
        let callers = [(); 3].map(|()| {
            caller(&pool, |pool| {
                let lease = pool.acquire()?;
                let socket = use_lease(&lease)?;
                lease.discard();
                Ok::<_, Error>(socket)
            })
        });
        let mut sockets = callers.map(|caller| done(caller).expect("everybody is served"));
        sockets.sort_unstable();
        assert_eq!(sockets, [1, 2, 3], "rule 13: a discarded connection was used again");
        check_quiet(&pool);
        close(&pool);
    });
}

#[test]
fn rule_06_a_rolled_back_connection_serves_the_one_who_waits() {
    Explore::with(0, 1, Validation::Socket).run(|pool| {
        let callers = [(); 3].map(|()| {
            caller(&pool, |pool| {
                let lease = pool.acquire()?;
                lease.request(&Request::begin_transaction(None)?).map(drop)
            })
        });
        all_are_served(&pool, callers);
    });
}

#[test]
fn rule_06_a_connection_found_dead_is_replaced_and_others_go_on() {
    let explore = Explore::with(0, 2, Validation::Socket)
        .options(|options| options.validate_after = Duration::ZERO);
    explore.run(|pool| {
        visit(&pool).expect("the first is served");
        server::let_die(1);
        let callers = [(); 3].map(|()| caller(&pool, visit));
        all_are_served(&pool, callers);
    });
}

#[test]
fn rule_06_a_connection_that_is_pinged_serves_the_one_who_waits() {
    let explore = Explore::with(0, 1, Validation::Ping)
        .options(|options| options.validate_after = Duration::ZERO);
    explore.run(|pool| {
        let callers = [(); 3].map(|()| caller(&pool, visit));
        all_are_served(&pool, callers);
    });
}

#[test]
fn rule_07_a_caller_that_times_out_takes_no_connection_with_it() {
    let explore = Explore::with(1, 1, Validation::None).time(SECOND).must_see(&[
        "timed out",
        "in time",
        "served at the deadline",
    ]);
    explore.run(|pool| {
        let hasty = [(); 2].map(|()| {
            caller(&pool, |pool| {
                let started = clock::now();
                match pool.acquire_timeout(SECOND) {
                    Err(error) if error.code() == Code::Timeout => saw("timed out"),
                    outcome => {
                        let late = clock::now() >= started + SECOND;
                        saw(if late { "served at the deadline" } else { "in time" });
                        use_lease(&outcome.expect("a time-out is the only error")).unwrap();
                    }
                }
            })
        });
        let patient = [(); 2].map(|()| caller(&pool, visit));
        for caller in patient {
            done(caller).expect("who waits for ever is served");
        }
        for caller in hasty {
            done(caller);
        }
        check_quiet(&pool);
        close(&pool);
    });
}

#[test]
fn rule_07_a_time_out_while_a_worker_dials_loses_no_connection() {
    let explore =
        Explore::with(0, 1, Validation::Socket).time(SECOND).must_see(&["timed out", "served"]);
    explore.run(|pool| {
        let hasty = [(); 2].map(|()| {
            caller(&pool, |pool| match pool.acquire_timeout(SECOND) {
                Ok(lease) => {
                    saw("served");
                    use_lease(&lease).unwrap();
                }
                Err(error) => {
                    assert_eq!(error.code(), Code::Timeout, "{error}");
                    saw("timed out");
                }
            })
        });
        done(caller(&pool, visit)).expect("who waits for ever is served");
        for caller in hasty {
            done(caller);
        }
        check_quiet(&pool);
        close(&pool);
    });
}

#[test]
fn rule_08_a_waiter_takes_whichever_comes_first() {
    let explore = Explore::with(0, 2, Validation::Socket)
        .dials(&[Dial::Opens, Dial::Hangs])
        .must_see(&["served while the dial hung"]);
    explore.run(|pool| {
        let first = pool.acquire().expect("the first dial opens");
        let waiting = [(); 2].map(|()| caller(&pool, visit));
        let holder = caller(&pool, move |_| {
            use_lease(&first).unwrap();
        });
        done(holder);
        for caller in waiting {
            done(caller).expect("the released connection serves both");
        }
        if pool.status().total > 1 {
            saw("served while the dial hung");
        }
        close(&pool);
    });
}

#[test]
fn rule_08_a_new_and_a_returned_connection_race_for_one_waiter() {
    Explore::with(0, 2, Validation::Socket).run(|pool| {
        let first = pool.acquire().expect("the first dial opens");
        let waiter = caller(&pool, visit);
        let late = caller(&pool, visit);
        let holder = caller(&pool, move |_| use_lease(&first).map(drop));
        for caller in [waiter, late, holder] {
            done(caller).expect("everybody is served");
        }
        check_quiet(&pool);
        close(&pool);
    });
}
