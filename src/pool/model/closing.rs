//! The end of a pool, in the middle of everything else.

use super::*;

/// Runs a caller that a close may overtake.
fn visit_or_closed(pool: &Pool) {
    match visit(pool) {
        Ok(()) => saw("served"),
        Err(error) => {
            assert_eq!(error.code(), Code::Closed, "{error}");
            saw("closed");
        }
    }
}

#[test]
fn rule_19_close_amid_acquires_and_releases() {
    let explore = Explore::with(1, 1, Validation::None).must_see(&["served", "closed"]);
    explore.run(|pool| {
        let callers = [(); 3].map(|()| caller(&pool, visit_or_closed));
        pause();
        close(&pool);
        for caller in callers {
            done(caller);
        }
        assert_eq!(pool.try_acquire().unwrap_err().code(), Code::Closed);
    });
}

#[test]
fn rule_19_close_amid_dialing_workers() {
    let explore = Explore::with(2, 2, Validation::Socket)
        .options(|options| options.preconnect = true)
        .must_see(&["served", "closed"]);
    explore.run(|pool| {
        let callers = [(); 2].map(|()| caller(&pool, visit_or_closed));
        pause();
        close(&pool);
        for caller in callers {
            done(caller);
        }
    });
}

#[test]
fn rule_19_close_ends_dials_that_hang() {
    let explore = Explore::with(0, 2, Validation::Socket)
        .dials(&[Dial::Hangs, Dial::Hangs])
        .must_see(&["closed"]);
    explore.run(|pool| {
        let callers = [(); 3].map(|()| caller(&pool, visit_or_closed));
        pause();
        close(&pool);
        for caller in callers {
            done(caller);
        }
    });
}

#[test]
fn rule_19_two_closes_at_once_both_return_when_nothing_is_left() {
    let explore = Explore::with(0, 2, Validation::Socket).must_see(&["served", "closed"]);
    explore.run(|pool| {
        let callers = [(); 2].map(|()| caller(&pool, visit_or_closed));
        let other = caller(&pool, |pool| {
            pause();
            close(pool);
        });
        pause();
        close(&pool);
        done(other);
        for caller in callers {
            done(caller);
        }
    });
}

#[test]
fn rule_19_leases_are_cut_when_their_time_is_over() {
    let explore = Explore::with(0, 2, Validation::Socket)
        .options(|options| options.close_timeout = SECOND)
        .time(SECOND)
        .must_see(&["served", "closed", "cut"]);
    explore.run(|pool| {
        let holder = caller(&pool, |pool| {
            let Ok(lease) = pool.acquire() else { return };
            let error = lease.request(&silence()).expect_err("it never gets a response");
            assert_eq!(error.code(), Code::Closed, "{error}");
            saw("cut");
        });
        let callers = [(); 2].map(|()| caller(&pool, visit_or_closed));
        pause();
        close(&pool);
        for caller in callers {
            done(caller);
        }
        done(holder);
    });
}

#[test]
fn rule_19_close_amid_a_roll_back() {
    let explore = Explore::with(0, 1, Validation::Socket);
    explore.run(|pool| {
        let callers = [(); 2].map(|()| {
            caller(&pool, |pool| {
                let begun = pool
                    .acquire()
                    .and_then(|lease| lease.request(&Request::begin_transaction(None)?).map(drop));
                if let Err(error) = begun {
                    assert_eq!(error.code(), Code::Closed, "{error}");
                }
            })
        });
        pause();
        close(&pool);
        for caller in callers {
            done(caller);
        }
    });
}

#[test]
fn rule_19_a_dropped_pool_goes_when_its_last_lease_does() {
    let explore = Explore::with(0, 2, Validation::None);
    explore.run(|pool| {
        let leases = [(); 2].map(|()| pool.acquire().expect("there is room"));
        let callers = leases.map(|lease| {
            thread::spawn(move || use_lease(&lease).map(drop).expect("a lease outlives its pool"))
        });
        let pool = Arc::into_inner(pool).expect("nobody else has it");
        drop(pool);
        for caller in callers {
            done(caller);
        }
    });
}

#[test]
fn rule_19_a_pool_dropped_amid_releases_leaves_nothing() {
    let explore = Explore::with(1, 2, Validation::Socket).must_see(&["last"]);
    explore.run(|pool| {
        let callers = [(); 3].map(|()| {
            let pool = pool.clone();
            thread::spawn(move || {
                let lease = pool.acquire().expect("the pool is still there");
                use_lease(&lease).unwrap();
                if Arc::into_inner(pool).is_some() {
                    saw("last");
                }
                drop(lease);
            })
        });
        drop(pool);
        for caller in callers {
            done(caller);
        }
    });
}

#[test]
fn rule_19_close_waits_for_leases_of_a_pool_without_threads() {
    Explore::with(0, 2, Validation::None).run(|pool| {
        let leases = [(); 2].map(|()| pool.acquire().expect("there is room"));
        let callers = leases.map(|lease| caller(&pool, move |_| drop(lease)));
        close(&pool);
        for caller in callers {
            done(caller);
        }
    });
}

#[test]
fn rule_19_close_joins_a_thread_that_is_only_just_started() {
    Explore::with(0, 2, Validation::None).run(|pool| {
        let leases = [(); 2].map(|()| pool.acquire().expect("there is room"));
        let callers = leases.map(|lease| {
            use_lease(&lease).expect("the dial opens");
            // A release of a connection that is to be closed starts the worker for it.
            caller(&pool, move |_| lease.discard())
        });
        close(&pool);
        for caller in callers {
            done(caller);
        }
    });
}
