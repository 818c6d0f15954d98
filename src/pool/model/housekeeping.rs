//! Threads of the pool that come and go while callers do.

use std::sync::{Mutex, Weak};

use super::*;
use crate::config::Logger;

#[test]
fn rule_06_a_worker_that_is_about_to_leave_misses_no_job() {
    // Long enough for workers to find that there is nothing to do.
    let explore = Explore::with(0, 1, Validation::Socket).time(60 * SECOND);
    explore.run(|pool| {
        let callers = [(); 3].map(|()| {
            caller(&pool, |pool| {
                let lease = pool.acquire()?;
                use_lease(&lease)?;
                lease.discard();
                Ok::<_, Error>(())
            })
        });
        all_are_served(&pool, callers);
    });
}

#[test]
fn rule_17_idle_connections_are_closed_while_others_are_acquired() {
    let explore = Explore::with(0, 2, Validation::Socket)
        .options(|options| options.idle_timeout = SECOND)
        .time(100 * SECOND);
    explore.run(|pool| {
        let callers = [(); 3].map(|()| caller(&pool, visit));
        for caller in callers {
            done(caller).expect("everybody is served");
        }
        // Nothing but the housekeeper's alarm closes them now; without, this never ends.
        server::wait_for_sockets(|sockets| sockets == 0);
        close(&pool);
    });
}

#[test]
fn rule_18_a_pool_is_reset_and_resized_amid_its_callers() {
    Explore::with(1, 2, Validation::Socket).run(|pool| {
        let callers = [(); 3].map(|()| caller(&pool, visit));
        pause();
        pool.reset();
        pause();
        pool.resize(0, 1).expect("a fine size");
        for caller in callers {
            done(caller).expect("everybody is served");
        }
        let status = pool.status();
        assert_eq!((status.used, status.pending), (0, 0), "rule 6: {status:?}");
        close(&pool);
    });
}

#[test]
fn rule_19_the_housekeeper_leaves_when_the_pool_is_closed() {
    let explore =
        Explore::with(0, 2, Validation::Socket).options(|options| options.idle_timeout = SECOND);
    explore.run(|pool| {
        let callers = [(); 2].map(|()| {
            caller(&pool, |pool| match visit(pool) {
                Err(error) if error.code() != Code::Closed => panic!("{error}"),
                _ => {}
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
fn rule_19_close_needs_no_thread_that_the_system_does_not_have() {
    let explore = Explore::with(0, 2, Validation::None).must_see(&["refused"]);
    explore.run(|pool| {
        let callers = [(); 3].map(|()| {
            caller(&pool, |pool| match pool.acquire() {
                Ok(lease) => {
                    if let Err(error) = use_lease(&lease) {
                        assert_eq!(error.code(), Code::Closed, "{error}");
                    }
                    lease.discard();
                }
                Err(error) => assert_eq!(error.code(), Code::Closed, "{error}"),
            })
        });
        threads::refuse(3);
        pause();
        close(&pool);
        for caller in callers {
            done(caller);
        }
        if !threads::is_refusing() {
            saw("refused");
        }
    });
}

#[test]
fn rule_06_what_a_callback_tries_takes_no_connection_with_it() {
    let pool_of_callback: Arc<Mutex<Weak<Pool>>> = Arc::default();
    let callback = pool_of_callback.clone();
    let log = Logger::new(move |_, _| {
        let Some(pool) = callback.lock().unwrap().upgrade() else { return };
        let refused = pool.acquire().expect_err("nothing waits in a callback");
        assert_eq!(refused.code(), Code::WouldDeadlock, "{refused}");
        match pool.try_acquire() {
            Ok(lease) => {
                let refused = use_lease(&lease).expect_err("nothing waits in a callback");
                assert_eq!(refused.code(), Code::WouldDeadlock, "{refused}");
                saw("served in the callback");
            }
            Err(_) => saw("none was free"),
        }
    });
    // Served when the outage is over, which takes the time of a back-off.
    let explore = Explore::with(1, 2, Validation::None)
        .options(|options| options.log = Some(log))
        .dials(&[Dial::Fails])
        .time(SECOND)
        .must_see(&["served in the callback", "none was free"]);
    explore.run(move |pool| {
        *pool_of_callback.lock().unwrap() = Arc::downgrade(&pool);
        let callers = [(); 3].map(|()| caller(&pool, |pool| drop(visit(pool))));
        for caller in callers {
            done(caller);
        }
        pause();
        close(&pool);
    });
}

#[test]
fn rule_17_a_look_at_an_idle_socket_is_in_nobodys_way() {
    let explore = Explore::with(1, 1, Validation::None)
        .options(|options| options.preconnect = true)
        .time(SECOND);
    explore.run(|pool| {
        let callers = [(); 2].map(|()| caller(&pool, visit));
        all_are_served(&pool, callers);
    });
}
