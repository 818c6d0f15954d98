use crate::support::{Server, command, wait_until};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

fn refused(options: &[&str]) -> String {
    let output = command().args(["--port", "0"]).args(options).output().unwrap();
    assert!(!output.status.success(), "{options:?}");
    assert!(output.stdout.is_empty(), "{options:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn options_that_make_no_sense_are_refused() {
    assert!(refused(&["--tls-cert", "x"]).contains("--tls-key"));
    assert!(refused(&["--tls-key", "x"]).contains("--tls-cert"));
    assert!(refused(&["--tls-client-ca", "x"]).contains("--tls-cert"));
    for wrong in [
        ["--token", ""],
        ["--token", "a b"],
        ["--token", "a\nb"],
        ["--keep-alive-timeout", "0"],
        ["--client-timeout", "0"],
        ["--client-timeout", "nan"],
        ["--client-timeout", "inf"],
        ["--client-timeout", "-1"],
        ["--query-timeout", "1e9"],
        ["--max-body-bytes", "-1"],
        ["--data", "/dev/null"],
        ["--host", "no such host"],
        ["--allow-host", "http://x"],
        ["--allow-host", "x:80"],
        ["--allow-host", ""],
    ] {
        refused(&wrong);
    }
}

#[test]
fn the_url_is_all_that_is_printed() {
    let mut server = Server::start(&["--host", "localhost"]);
    assert!(server.url.starts_with("http://"), "{}", server.url);
    server.connect().get("/none").is(404);
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(0));
    let mut rest = String::new();
    server.child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn a_folder_has_one_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let _server = Server::start(&["--data", path]);
    assert!(refused(&["--data", path]).contains("another"));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let server = Server::start(&[]);
    let port = server.address.port().to_string();
    let output = command().args(["--port", &port]).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains(&port));
}

#[test]
fn a_temporary_folder_goes_away() {
    let parent = tempfile::tempdir().unwrap();
    let folders = || std::fs::read_dir(parent.path()).unwrap().count();
    let start = || {
        command()
            .args(["--port", "0", "--stop-on-stdin-eof"])
            .env("TMPDIR", parent.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let url = |child: &mut std::process::Child| {
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 8]).unwrap();
    };
    let mut killed = start();
    url(&mut killed);
    assert_eq!(folders(), 1);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let mut living = start();
    url(&mut living);
    assert_eq!(folders(), 1, "the next server sweeps up");
    drop(living.stdin.take());
    wait_until("it exits", || living.try_wait().unwrap().is_some());
    assert_eq!(folders(), 0);
}

#[test]
fn what_is_not_a_lock_file_neither_holds_up_the_start_nor_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let elsewhere = folder.path().join("elsewhere");
    let lock = data.join(".lock");
    let path = data.to_str().unwrap();
    std::fs::create_dir(&data).unwrap();
    assert!(Command::new("mkfifo").arg(&lock).status().unwrap().success());
    assert!(refused(&["--data", path]).contains("is a pipe, not a regular file"));
    std::fs::remove_file(&lock).unwrap();
    for target in [elsewhere.to_str().unwrap(), "/dev/null", "/dev/tty"] {
        std::os::unix::fs::symlink(target, &lock).unwrap();
        assert!(refused(&["--data", path]).contains("is a symbolic link"), "{target}");
        std::fs::remove_file(&lock).unwrap();
    }
    assert!(!elsewhere.exists());
    std::fs::create_dir(&lock).unwrap();
    assert!(refused(&["--data", path]).contains("is a folder"));
    std::fs::remove_dir(&lock).unwrap();
    // What other users put where servers without --data look for dead ones.
    let left = folder.path().join("phantomdb-devserver-0");
    std::fs::create_dir(&left).unwrap();
    assert!(Command::new("mkfifo").arg(left.join(".lock")).status().unwrap().success());
    let started = command()
        .args(["--port", "0", "--stop-on-stdin-eof"])
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = started.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"http://"));
    assert!(left.join(".lock").exists());
}

#[test]
fn only_the_user_of_the_server_reads_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let open_to_all = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let made = folder.path().join("a/made");
    let empty = folder.path().join("empty");
    let shared = folder.path().join("shared");
    std::fs::create_dir(&empty).unwrap();
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(shared.join("notes"), "mine").unwrap();
    open_to_all(&empty);
    open_to_all(&shared);
    for (data, expected) in [(&made, 0o700), (&empty, 0o700), (&shared, 0o755)] {
        let server = Server::start(&["--data", data.to_str().unwrap()]);
        assert_eq!(mode(data), expected, "{}", data.display());
        assert_eq!(mode(&data.join(".lock")), 0o600);
        drop(server);
    }
}

#[test]
fn every_option_is_in_the_documentation_with_its_default() {
    let output = command().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let readme = include_str!("../../README.md");
    let manual = include_str!("../../phantomdb-devserver.1");
    let options: Vec<_> = help
        .split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix("--"))
        .map(|word| word.trim_end_matches(|last: char| !last.is_ascii_lowercase()))
        .filter(|name| !["help", "version", "host."].contains(name))
        .collect();
    assert!(options.len() > 20, "{options:?}");
    for name in options {
        assert!(readme.contains(&format!("`--{name}")), "README.md: --{name}");
        assert!(manual.contains(&format!(".It Fl -{name}")), "the manual page: --{name}");
        let after = help.split_once(&format!("--{name} ")).map_or("", |(_, after)| after);
        let this = after.split("\n      --").next().unwrap_or_default();
        let default = this.split_once("[default: ").and_then(|(_, rest)| rest.split_once(']'));
        if let Some((default, _)) = default {
            let row = readme.lines().find(|line| line.contains(&format!("`--{name} "))).unwrap();
            assert!(row.contains(&format!("| {default} |")), "{row}: {default}");
            let entry = manual.split(&format!(".It Fl -{name} ")).nth(1).unwrap();
            let entry = entry.split(".It Fl").next().unwrap();
            assert!(entry.contains(&format!("Default {default}")), "{entry}: {default}");
        }
    }
}
