//! What happens to the server, and on the way to it.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use phantomdb_contract::devserver::DevServer;
use phantomdb_contract::fault_proxy::{End, FaultProxy, Mode};

/// A development server behind a proxy, and what befalls both.
pub struct Chaos {
    server: DevServer,
    proxy: FaultProxy,
    chance: fastrand::Rng,
    /// How often each thing happened.
    happened: BTreeMap<&'static str, u32>,
}

impl Chaos {
    /// A server that is well, so far.
    pub fn new(seed: u64) -> Result<Chaos, String> {
        let server = DevServer::start(false, &[])?;
        let proxy = FaultProxy::with_seed(server.port(), seed);
        Ok(Chaos {
            server,
            proxy,
            chance: fastrand::Rng::with_seed(seed),
            happened: BTreeMap::new(),
        })
    }

    /// The way for the pools, on which things happen.
    pub fn url(&self) -> String {
        self.proxy.url()
    }

    /// The way around them.
    pub fn server_url(&self) -> String {
        self.server.url().to_owned()
    }

    /// What happened, and how often.
    pub fn happened(&self) -> impl Iterator<Item = (&'static str, u32)> + '_ {
        self.happened.iter().map(|(what, count)| (*what, *count))
    }

    /// Lets things happen until `end`; then the server is well.
    pub fn rage(&mut self, end: Instant) -> Result<(), String> {
        while Instant::now() < end {
            self.last(end, 500..3000);
            let what = self.happen(end)?;
            *self.happened.entry(what).or_default() += 1;
            self.proxy.set(Mode::Pass);
        }
        Ok(())
    }

    fn happen(&mut self, end: Instant) -> Result<&'static str, String> {
        let milliseconds =
            |most: u64, chance: &mut fastrand::Rng| Duration::from_millis(chance.u64(1..most));
        Ok(match self.chance.u32(0..9) {
            0 => {
                self.server.kill();
                self.last(end, 0..4000);
                self.server.run()?;
                "the server was killed, and started again"
            }
            1 => {
                self.server.kill();
                self.server.run()?;
                "the server was killed, and was back at once"
            }
            2 => {
                let first = milliseconds(300, &mut self.chance);
                let later = milliseconds(100, &mut self.chance);
                self.proxy.set(Mode::Late { first, later });
                self.last(end, 500..4000);
                "responses came late"
            }
            3 => {
                self.proxy.set(Mode::Silent);
                self.last(end, 500..4000);
                self.proxy.close_all();
                "new connections were silent"
            }
            4 => {
                self.proxy.set(Mode::Refuse);
                self.proxy.reset_all();
                self.last(end, 200..4000);
                "connections were reset, and new ones refused"
            }
            5 => {
                let bytes = self.chance.u64(100..20_000);
                self.proxy.set(Mode::CutWithin { bytes });
                self.proxy.close_all();
                self.last(end, 1000..4000);
                "connections were cut somewhere"
            }
            6 => {
                let end_of_each = if self.chance.bool() { End::Close } else { End::Reset };
                let bytes = self.chance.u64(1..2000);
                self.proxy.set(Mode::CutAfter { bytes, end: end_of_each });
                self.proxy.close_all();
                self.last(end, 500..3000);
                "responses broke off"
            }
            7 => {
                self.proxy.freeze_all();
                self.last(end, 500..3000);
                self.proxy.close_all();
                "open connections went silent"
            }
            _ => {
                self.proxy.reset_all();
                "all connections were reset"
            }
        })
    }

    /// How long something lasts is what this is about: no condition ends it.
    fn last(&mut self, end: Instant, milliseconds: std::ops::Range<u64>) {
        let time = Duration::from_millis(self.chance.u64(milliseconds));
        thread::sleep(time.min(end.saturating_duration_since(Instant::now())));
    }

    /// A complaint, if connections of the pools are open though all are closed.
    pub fn still_open(&self, wait_limit: Duration) -> Option<String> {
        let end = Instant::now() + wait_limit;
        while self.proxy.counts().open > 0 {
            if Instant::now() > end {
                return Some(format!(
                    "{} connections outlive their pools",
                    self.proxy.counts().open
                ));
            }
            thread::yield_now();
        }
        None
    }
}
