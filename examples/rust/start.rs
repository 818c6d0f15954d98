use phantomdb::{Options, Pool, Request};

fn main() -> phantomdb::Result<()> {
    let base_url = std::env::args().nth(1).unwrap_or("http://localhost:8080".into());
    let pool = Pool::new(Options { base_url, max_connections: 20, ..Options::default() })?;
    let databases = pool.request(&Request::list_databases())?;
    for name in databases.names()?.iter() {
        println!("{name}");
    }
    pool.close()
}
