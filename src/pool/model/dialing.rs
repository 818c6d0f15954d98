//! Lease holders and workers that open connections under one limit.

use super::*;

#[test]
fn rule_09_lease_holders_dial_one_at_a_time() {
    let explore = Explore::with(0, 3, Validation::None).options(|options| {
        options.max_connecting = 1;
    });
    explore.run(|pool| {
        let callers = [(); 3].map(|()| caller(&pool, visit));
        all_are_served(&pool, callers);
    });
}

#[test]
fn rule_09_lease_holders_and_growth_share_one_limit() {
    let explore = Explore::with(1, 2, Validation::Socket).options(|options| {
        options.max_connecting = 1;
    });
    explore.run(|pool| {
        let callers = [(); 3].map(|()| caller(&pool, visit));
        all_are_served(&pool, callers);
    });
}

#[test]
fn rule_09_a_holder_that_gives_up_lets_the_others_dial() {
    let explore = Explore::with(2, 3, Validation::Socket)
        .options(|options| {
            options.max_connecting = 1;
            options.request_timeout = SECOND;
            options.connect_timeout = SECOND;
        })
        .dials(&[Dial::Hangs])
        .time(5 * SECOND)
        .must_see(&["timed out", "served"]);
    explore.run(|pool| {
        let callers = [(); 2].map(|()| {
            caller(&pool, |pool| {
                let lease = pool.acquire()?;
                use_lease(&lease).map(drop)
            })
        });
        let grower = caller(&pool, |pool| pool.acquire().map(drop));
        for caller in callers {
            match done(caller) {
                Ok(()) => saw("served"),
                Err(error) => {
                    let known = [Code::Timeout, Code::Unavailable].contains(&error.code());
                    assert!(known, "{error}");
                    saw("timed out");
                }
            }
        }
        match done(grower) {
            Err(error) if error.code() != Code::Unavailable => panic!("{error}"),
            _ => {}
        }
        check_quiet(&pool);
        close(&pool);
    });
}

#[test]
fn rule_07_a_cancel_reaches_a_lease_holder_wherever_it_is() {
    let explore = Explore::with(0, 2, Validation::None)
        .options(|options| options.max_connecting = 1)
        .must_see(&["cancelled", "served"]);
    explore.run(|pool| {
        let leases = [(); 2].map(|()| Arc::new(pool.try_acquire().expect("there is room")));
        let callers = leases.clone().map(|lease| {
            caller(&pool, move |_| match use_lease(&lease) {
                Ok(_) => saw("served"),
                Err(error) => {
                    assert_eq!(error.code(), Code::Cancelled, "{error}");
                    saw("cancelled");
                }
            })
        });
        let canceller = caller(&pool, move |_| {
            for lease in &leases {
                pause();
                lease.cancel();
            }
        });
        for caller in callers {
            done(caller);
        }
        done(canceller);
        check_quiet(&pool);
        visit(&pool).expect("a cancel ends with its request");
        close(&pool);
    });
}

#[test]
fn rule_07_one_cancel_is_enough_and_reaches_no_one_else() {
    let explore = Explore::with(0, 2, Validation::None)
        .options(|options| options.max_connecting = 1)
        .dials(&[Dial::Hangs]);
    explore.run(|pool| {
        let leases = [(); 2].map(|()| Arc::new(pool.try_acquire().expect("there is room")));
        let [first, second] = leases.clone();
        let dialing = caller(&pool, move |_| use_lease(&first));
        server::wait_for_dials(1);
        let waiting = caller(&pool, move |_| use_lease(&second));
        server::wait_for_flights(2);
        leases[1].cancel();
        assert_eq!(done(waiting).unwrap_err().code(), Code::Cancelled);
        leases[0].cancel();
        assert_eq!(done(dialing).unwrap_err().code(), Code::Cancelled);
        drop(leases);
        check_quiet(&pool);
        close(&pool);
    });
}

#[test]
fn rule_07_a_cancel_wakes_a_holder_that_waits_for_a_permit() {
    let explore = Explore::with(0, 2, Validation::None)
        .options(|options| {
            options.max_connecting = 1;
            options.close_timeout = Duration::ZERO;
        })
        .dials(&[Dial::Hangs, Dial::Hangs]);
    explore.run(|pool| {
        let leases = [(); 2].map(|()| pool.try_acquire().expect("there is room"));
        let callers = leases.map(|lease| caller(&pool, move |_| use_lease(&lease).map(drop)));
        pause();
        close(&pool);
        for caller in callers {
            let error = done(caller).expect_err("both dials hang");
            assert_eq!(error.code(), Code::Closed, "{error}");
        }
    });
}

#[test]
fn rule_08_a_second_dial_does_not_wait_for_the_first() {
    Explore::with(0, 3, Validation::Socket).run(|pool| {
        let callers = [(); 2].map(|()| {
            caller(&pool, |pool| {
                let lease = pool.acquire()?;
                use_lease(&lease).map(|_| lease.discard())
            })
        });
        for caller in callers {
            done(caller).expect("everybody is served");
        }
        pool.resize(0, 1).expect("a fine size");
        let lease = pool.acquire().expect("there is room");
        server::expect_dials(&[Dial::Hangs]);
        let callers = [(); 2].map(|()| caller(&pool, visit));
        pause();
        pool.resize(0, 3).expect("a fine size");
        for caller in callers {
            done(caller).expect("the second dial serves both");
        }
        drop(lease);
        close(&pool);
    });
}

#[test]
fn rule_10_a_failed_dial_leaves_nobody_waiting() {
    let explore = Explore::with(0, 2, Validation::Socket)
        .dials(&[Dial::Fails])
        .must_see(&["unavailable", "served"]);
    explore.run(|pool| {
        let callers = [(); 3].map(|()| caller(&pool, visit));
        for caller in callers {
            match done(caller) {
                Ok(()) => saw("served"),
                Err(error) => {
                    assert_eq!(error.code(), Code::Unavailable, "{error}");
                    saw("unavailable");
                }
            }
        }
        check_quiet(&pool);
        close(&pool);
    });
}

#[test]
fn rule_10_the_housekeeper_finds_the_server_again() {
    let explore = Explore::with(1, 2, Validation::Socket)
        .options(|options| options.preconnect = true)
        .dials(&[Dial::Fails, Dial::Fails])
        .time(SECOND);
    explore.run(|pool| {
        let callers = [(); 2].map(|()| caller(&pool, visit));
        for caller in callers {
            if let Err(error) = done(caller) {
                assert_eq!(error.code(), Code::Unavailable, "{error}");
            }
        }
        // Nothing but the housekeeper's alarm opens it now; without, this never ends.
        server::wait_for_sockets(|sockets| sockets > 0);
        visit(&pool).expect("the server is back");
        close(&pool);
    });
}

#[test]
fn rule_10_a_failed_dial_is_told_to_all_that_wait_for_a_permit() {
    let explore = Explore::with(3, 3, Validation::Socket)
        .options(|options| options.max_connecting = 1)
        .dials(&[Dial::Fails])
        .must_see(&["unavailable"]);
    explore.run(|pool| {
        let leases = [(); 3].map(|()| pool.try_acquire().expect("nobody has dialled yet"));
        let callers = leases.map(|lease| caller(&pool, move |_| use_lease(&lease)));
        for caller in callers {
            let error = done(caller).expect_err("the server is not tried again");
            assert_eq!(error.code(), Code::Unavailable, "{error}");
            saw("unavailable");
        }
        check_quiet(&pool);
        close(&pool);
    });
}

#[test]
fn rule_10_beyond_the_servers_limit_one_socket_serves_every_holder() {
    let explore = Explore::with(0, 3, Validation::None)
        .dials(&[Dial::Opens, Dial::Fails, Dial::Fails, Dial::Fails])
        .time(SECOND)
        .must_see(&["served"]);
    explore.run(|pool| {
        let callers = [(); 3].map(|()| caller(&pool, visit));
        for caller in callers {
            match done(caller) {
                Ok(()) => saw("served"),
                // Nobody had a connection at that moment.
                Err(error) => assert_eq!(error.code(), Code::Unavailable, "{error}"),
            }
        }
        check_quiet(&pool);
        close(&pool);
    });
}

#[test]
fn rule_10_a_holder_that_waits_for_a_socket_can_be_cancelled() {
    let explore = Explore::with(0, 2, Validation::None)
        .dials(&[Dial::Opens, Dial::Fails, Dial::Fails, Dial::Fails])
        .time(SECOND)
        .must_see(&["cancelled", "served"]);
    explore.run(|pool| {
        let leases = [(); 2].map(|()| Arc::new(pool.try_acquire().expect("there is room")));
        let callers = leases.clone().map(|lease| {
            caller(&pool, move |_| match use_lease(&lease) {
                Ok(_) => saw("served"),
                Err(error) if error.code() == Code::Cancelled => saw("cancelled"),
                Err(error) => assert_eq!(error.code(), Code::Unavailable, "{error}"),
            })
        });
        let canceller = caller(&pool, move |_| {
            for lease in &leases {
                pause();
                lease.cancel();
            }
        });
        for caller in callers {
            done(caller);
        }
        done(canceller);
        check_quiet(&pool);
        close(&pool);
    });
}
