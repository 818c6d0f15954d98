use phantomdb::{Options, Pool, Request};

fn main() -> phantomdb::Result<()> {
    let base_url = std::env::args().nth(1).unwrap_or("http://localhost:8080".into());
    let pool = Pool::new(Options { base_url, max_connections: 20, ..Options::default() })?;

    let lease = pool.acquire()?;
    let query = Request::execute_query("shop", "SELECT 6 * ? AS product", Some("[7]"))?;
    let response = lease.request(&query)?;
    println!("{}", response.table()?.cell(0, 0)?.int64()?);
    drop(lease); // Releases the connection.

    pool.close()
}
