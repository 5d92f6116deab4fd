//! What keeps a server from starting, and what its other commands refuse.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use hil_tests::fleet::{Ending, ServerProcess};

use super::commands::{binaries, done, ended, names, put, refused};
use super::mounts::Mount;

/// `fleet-server run` on this data directory; free ports unless `arguments` name others.
fn run(data: &Path, arguments: &[&str]) -> Command {
    let mut server = binaries().server();
    server.arg("run").arg("--data").arg(data);
    for (port, any) in [("--mqtt", "127.0.0.1:0"), ("--http", "127.0.0.1:0")] {
        if !arguments.contains(&port) {
            server.args([port, any]);
        }
    }
    server.args(arguments);
    server
}

#[test]
fn a_port_in_use_is_named_for_either_listener_and_the_data_directory_serves_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap();
    assert_eq!(
        refused(&mut run(&data, &["--mqtt", &address.to_string()])),
        format!(
            "fleet-server: cannot listen for lampposts on {address}: end what uses the port, or choose another with \
             --mqtt: Address already in use (os error 98)\n"
        )
    );
    assert_eq!(
        refused(&mut run(&data, &["--http", &address.to_string()])),
        format!(
            "fleet-server: port {} of 127.0.0.1 is in use: end what uses it, or choose another port\n",
            address.port()
        )
    );
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    server.end(Ending::Stop).unwrap();
}

#[test]
fn a_listener_without_tls_stays_on_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let ended = ended(&mut run(&data, &["--http", address]));
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert_eq!(
            ended.error,
            format!(
                "error: invalid value '{address}' for '--http <ADDRESS:PORT>': this listener has no TLS, so it is for \
                 loopback (127.0.0.1 or [::1]) only; reach it through a tunnel\n\nFor more information, try '--help'.\n"
            )
        );
    }
    assert!(!data.exists(), "nothing is made before the arguments are right");
}

#[test]
fn a_data_directory_that_another_server_uses_is_left_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let data = server.data();
    assert_eq!(
        refused(&mut run(&data, &[])),
        format!(
            "fleet-server: {} is in use by another server: stop that one, or choose another data directory\n",
            data.join("journal").display()
        )
    );
    assert_eq!(server.api().ask("/healthz").unwrap().0, 200);
    server.end(Ending::Kill).unwrap();
    // The lock went with the process that had it, however that ended.
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    server.end(Ending::Stop).unwrap();
}

#[test]
fn a_data_directory_below_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    put(&file, "");
    let data = file.join("data");
    assert_eq!(
        refused(&mut run(&data, &[])),
        format!(
            "fleet-server: cannot use the data directory {}: Not a directory (os error 20)\n",
            data.display()
        )
    );
}

#[test]
fn a_data_directory_without_rights_is_refused_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, Permissions::from_mode(0o500)).unwrap();
    let inner = data.join("inner");
    assert_eq!(
        refused(&mut powerless(&run(&inner, &[]))),
        format!(
            "fleet-server: cannot use the data directory {}: Permission denied (os error 13)\n",
            inner.display()
        )
    );
    assert_eq!(
        refused(&mut powerless(&run(&data, &[]))),
        format!(
            "fleet-server: cannot use the journal's directory {} (it must be writable): Permission denied (os error \
             13)\n",
            data.join("journal").display()
        )
    );
    assert_eq!(names(&data), Vec::<String>::new());
}

#[test]
fn a_data_directory_on_a_disk_that_is_read_only_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let data = server.data();
    server.end(Ending::Stop).unwrap();
    let mounted = match Mount::read_only(&data) {
        Ok(mounted) => mounted,
        Err(reason) => {
            eprintln!("not tested: nothing can be mounted here: {reason}");
            return;
        }
    };
    assert_eq!(
        refused(&mut run(&data, &[])),
        format!(
            "fleet-server: cannot use the journal's directory {} (it must be writable): Read-only file system (os \
             error 30)\n",
            data.join("journal/journal.lock").display()
        )
    );
    drop(mounted);
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    server.end(Ending::Stop).unwrap();
}

#[test]
fn an_import_names_every_bad_row_and_stores_nothing_beside_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let list = folder.path().join("lampposts.csv");
    let import = || {
        let mut import = binaries().server();
        import.args(["lamppost", "import"]).arg(&list).arg("--data").arg(server.data());
        import
    };
    put(
        &list,
        "number,latitude,longitude,road,district,height_m\n\
         DF3637,22.32,114.21,Wang Chiu Road,Kwun Tong,9\n\
         DF/3638,22.32,114.21,Wang Chiu Road,Kwun Tong,9\n\
         DF3639,92.5,east,Wang Chiu Road,,9\n\
         DF3637,22.32,114.21,Wang Chiu Road,Kwun Tong,9\n\
         DF3640,22.32,114.21,Wang Chiu Road\n\
         DF3641,22.32,114.21,Wang Chiu Road,Kwun Tong,900\n",
    );
    assert_eq!(
        refused(&mut import()),
        format!(
            "fleet-server: {}: 7 problems, nothing was stored\n  \
             line 3, number: \"DF/3638\" is not a lamppost number: it is 1 to 32 characters of A-Z, a-z, 0-9, _ and -\n  \
             line 4, latitude: \"92.5\" is not a number from -90 to 90 (degrees)\n  \
             line 4, longitude: \"east\" is not a number from -180 to 180 (degrees)\n  \
             line 4, district: is empty\n  \
             line 5, number: DF3637 stands in line 2 already\n  \
             line 6: has 4 fields, the header has 6\n  \
             line 7, height_m: \"900\" is not a number from 0 to 100 (metres)\n",
            list.display()
        )
    );
    let lampposts = server.api().json("/api/v1/lampposts").unwrap();
    assert_eq!(lampposts["lampposts"], serde_json::json!([]), "{lampposts}");

    put(&list, "number,latitude,longitude,road,district\nDF3637,22.32,114.21,Wang Chiu Road,Kwun Tong\n");
    assert_eq!(done(&mut import()), "1 added, 0 changed, 0 unchanged; 1 lampposts are registered\n");
    let lampposts = server.api().json("/api/v1/lampposts").unwrap();
    assert_eq!(lampposts["lampposts"][0]["number"], "DF3637");
}

#[test]
fn a_number_that_is_not_registered_gets_no_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let out = folder.path().join("out");
    let mut issue = binaries().server();
    issue.args(["cert", "issue", "DF9999", "--data"]).arg(server.data()).arg("--out").arg(&out);
    assert_eq!(
        refused(&mut issue),
        "fleet-server: lamppost DF9999 is not registered: add it with `fleet-server lamppost import FILE`\n"
    );
    assert!(!out.exists());
}

/// The same command as a user to whom the rights of files apply: root without the capability to override them.
fn powerless(command: &Command) -> Command {
    let is_root = done(Command::new("id").arg("--user")) == "0\n";
    let mut powerless = Command::new(if is_root { OsStr::new("setpriv") } else { command.get_program() });
    if is_root {
        powerless.args(["--bounding-set", "-dac_override,-dac_read_search"]).arg(command.get_program());
    }
    powerless.args(command.get_args());
    powerless
}
