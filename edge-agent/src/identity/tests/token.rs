//! A lamppost whose keys are in a token. The token is `SoftHSM`, which learns from the environment where its tokens are, and
//! no process should change that while it runs: each part is a test of its own that is run in a process of its own.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::TokenInfo;
use cryptoki::types::AuthPin;
use rustls::SignatureScheme;

use super::fleet::{Fleet, NUMBER};
use super::store::Lamppost;
use crate::config::TokenUri;
use crate::identity::new_key::NewKey;
use crate::identity::pair::{Pair, pem_of};
use crate::identity::vault::{KeyId, Vault, VaultError};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const TOKEN: &str = "lamppost";
const PIN: &str = "271828";

/// Runs a part of this module in a process of its own, in a folder with a token of its own.
fn apart(part: &str) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let tokens = folder.join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let settings = folder.join("softhsm2.conf");
    put(&settings, &format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display()));
    let mut tool = Command::new("softhsm2-util");
    tool.args(["--init-token", "--free", "--label", TOKEN, "--so-pin", "31415926", "--pin", PIN]);
    let made = tool.env("SOFTHSM2_CONF", &settings).stdout(Stdio::null()).status();
    assert!(made.unwrap().success());
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("identity::tests::token::{part}"), "--ignored", "--nocapture"])
        .current_dir(folder)
        .env("SOFTHSM2_CONF", &settings)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    let said_wrong = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}{said_wrong}");
}

#[test]
fn a_key_in_a_token_signs_there_and_nobody_reads_it() {
    apart("signs_and_is_not_read");
}

#[test]
fn a_wrong_pin_is_tried_once_and_not_again_before_somebody_has_changed_it() {
    apart("a_wrong_pin_is_tried_once");
}

#[test]
fn a_token_that_is_gone_is_named_and_one_that_comes_back_signs_again() {
    apart("gone_and_back");
}

#[test]
fn whenever_the_power_goes_files_name_the_keys_that_a_token_has_and_a_login_destroys_the_others() {
    apart("the_power_goes");
}

#[test]
#[ignore = "part of a test that gives it a token"]
fn signs_and_is_not_read() {
    let (fleet, vault) = (Fleet::new(), vault(&uri()));
    let id = KeyId::random().unwrap();
    let key = vault.key(id).unwrap();
    assert_eq!(vault.key(id).unwrap().point(), key.point(), "it is made once");
    // The authority verifies what the request is signed with.
    let new = NewKey::Vault(key.clone());
    for _ in 0..20 {
        let request = new.request(&NUMBER.parse().unwrap()).unwrap();
        let text = pem_of(&fleet.certify(&request, NUMBER, (0, 90)));
        let file = Path::new("a");
        let pair = Pair::read((file, text.as_bytes()), (file, new.text().as_bytes()), Some(&vault)).unwrap();
        assert!(pair.is_in_vault);
        assert!(pair.certified.key.choose_scheme(&[SignatureScheme::ED25519]).is_none());
        let other = NewKey::Vault(vault.key(KeyId::random().unwrap()).unwrap());
        Pair::read((file, text.as_bytes()), (file, other.text().as_bytes()), Some(&vault)).unwrap_err();
    }

    let session = session();
    session.login(UserType::User, Some(&AuthPin::from(PIN.to_owned()))).ok();
    let private = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(id_bytes(id))];
    let found = session.find_objects(&private).unwrap();
    assert_eq!(found.len(), 1);
    let value = session.get_attribute_info(found[0], &[AttributeType::Value]).unwrap();
    assert!(matches!(value.as_slice(), [AttributeInfo::Sensitive]), "{value:?}");
    let never = [AttributeType::NeverExtractable, AttributeType::AlwaysSensitive, AttributeType::Local];
    let said = session.get_attributes(found[0], &never).unwrap();
    let yes = [Attribute::NeverExtractable(true), Attribute::AlwaysSensitive(true), Attribute::Local(true)];
    assert_eq!(said, yes);

    vault.destroy(id).unwrap();
    let said = key.sign(b"a").unwrap_err().to_string();
    assert!(said.contains("has no key") && said.contains("enrol --again"), "{said}");
}

#[test]
#[ignore = "part of a test that gives it a token"]
fn a_wrong_pin_is_tried_once() {
    let uri = uri();
    let is_marked = || token().user_pin_count_low();
    let unmark = || {
        let session = session();
        session.login(UserType::User, Some(&AuthPin::from(PIN.to_owned()))).unwrap();
    };
    pin("999999");
    let first = vault(&uri);
    let said = first.unlock().unwrap_err();
    assert!(matches!(said, VaultError::WrongPin { .. }), "{said:?}");
    assert!(said.to_string().contains("refuses the PIN in "), "{said}");
    assert!(!format!("{said:?} {first:?}").contains("999999"));
    assert_eq!(first.problem(), Some(said.to_string()));
    assert!(is_marked(), "it was tried");
    unmark();
    // Neither in this life nor in a later one.
    for vault in [&first, &first, &vault(&uri)] {
        assert!(matches!(vault.unlock(), Err(VaultError::WrongPin { .. })));
        assert!(!is_marked(), "it was tried again");
    }
    let memory = std::fs::read_to_string("state/pin.refused").unwrap();
    assert!(!memory.contains("999999"), "{memory}");
    pin("888888");
    assert!(matches!(first.unlock(), Err(VaultError::WrongPin { .. })));
    assert!(is_marked(), "another one is tried");
    pin(PIN);
    first.unlock().unwrap();
    assert_eq!(first.problem(), None);
    assert!(!Path::new("state/pin.refused").exists());

    let refused = |uri: &TokenUri| vault(uri).unlock().unwrap_err().to_string();
    std::fs::set_permissions("pin", std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(refused(&uri).contains("(mode 640), and holds a PIN; chmod 600 it"));
    for nothing in ["", "\n", &"1".repeat(256)] {
        pin(nothing);
        assert!(refused(&uri).contains("holds no PIN"));
    }
    std::fs::remove_file("pin").unwrap();
    assert!(refused(&uri).contains("cannot read the PIN from "));
}

#[test]
#[ignore = "part of a test that gives it a token"]
fn gone_and_back() {
    let uri = uri();
    let vault = vault(&uri);
    let key = vault.key(KeyId::random().unwrap()).unwrap();
    key.sign(b"a").unwrap();
    std::fs::rename("tokens", "elsewhere").unwrap();
    std::fs::create_dir("tokens").unwrap();
    key.sign(b"a").unwrap_err();
    let said = vault.unlock().unwrap_err();
    assert!(matches!(said, VaultError::Absent { .. }), "{said:?}");
    std::fs::remove_dir("tokens").unwrap();
    std::fs::rename("elsewhere", "tokens").unwrap();
    vault.unlock().unwrap();
    key.sign(b"a").unwrap();

    let other = TokenUri { token: Some("another".to_owned()), ..uri.clone() };
    let said = self::vault(&other).unlock().unwrap_err().to_string();
    assert_eq!(
        said,
        "there is no PKCS#11 token \"another\" (there is lamppost); plug it in, or correct server.pkcs11_uri"
    );
    let by_number = TokenUri { token: None, serial: Some(token().serial_number().to_owned()), ..uri.clone() };
    self::vault(&by_number).unlock().unwrap();
    for module in ["none.so", "softhsm2.conf"] {
        let none = TokenUri { module: module.into(), ..uri.clone() };
        let said = self::vault(&none).unlock().unwrap_err().to_string();
        assert!(said.starts_with(&format!("cannot load the PKCS#11 module {module}; ")), "{said}");
    }
}

#[test]
#[ignore = "part of a test that gives it a token"]
fn the_power_goes() {
    let uri = uri();
    for names_survive in [false, true] {
        for changes in 0.. {
            let lamppost = Lamppost::with_token(Some(uri.clone()));
            lamppost.renewed();
            lamppost.card.dies_after(changes);
            let serial = lamppost.renew(&lamppost.store().newest().unwrap());
            let promoted = serial.is_ok() && lamppost.store().promote().is_ok();
            lamppost.card.cut(names_survive);

            // Whatever is there can be used.
            let usable = |pair: &Pair| {
                let signer = pair.certified.key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]);
                assert!(pair.is_in_vault);
                signer.unwrap().sign(b"a").unwrap();
            };
            let store = lamppost.store();
            usable(&store.newest().unwrap().pair);
            store.trial().iter().for_each(usable);
            // A login works, and whatever nobody refers to goes.
            let spared = store.trial().is_some();
            store.destroy_orphans().unwrap();
            usable(&store.newest().unwrap().pair);
            assert_eq!(store.trial().is_some(), spared);
            store.trial().iter().for_each(usable);

            lamppost.renewed();
            lamppost.store().destroy_orphans().unwrap();
            let store = lamppost.store();
            usable(&store.newest().unwrap().pair);
            assert_eq!(vault(&uri).keys().unwrap().len(), 1, "after {changes}: the key in use and no other");
            if promoted {
                break;
            }
        }
    }
    // What cannot be read may be what names a key.
    let lamppost = Lamppost::with_token(Some(uri.clone()));
    lamppost.renewed();
    let made = vault(&uri).keys().unwrap();
    lamppost.card.put(Path::new("/state/identity/current.pem"), "pkcs11:id=%0");
    lamppost.store().destroy_orphans().unwrap_err();
    assert_eq!(vault(&uri).keys().unwrap(), made);
}

fn uri() -> TokenUri {
    if !Path::new("pin").exists() {
        pin(PIN);
    }
    let folder = std::path::absolute(".").unwrap();
    TokenUri {
        token: Some(TOKEN.to_owned()),
        serial: None,
        module: MODULE.into(),
        pin_file: folder.join("pin"),
    }
}

fn pin(text: &str) {
    put(Path::new("pin"), text);
    std::fs::set_permissions("pin", std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn vault(uri: &TokenUri) -> Arc<Vault> {
    Arc::new(Vault::new(uri.clone(), &PathBuf::from("state"), &NUMBER.parse().unwrap()))
}

/// What the token says of itself.
fn token() -> TokenInfo {
    let module = module();
    let slot = module.get_slots_with_initialized_token().unwrap()[0];
    module.get_token_info(slot).unwrap()
}

fn session() -> Session {
    let module = module();
    let slot = module.get_slots_with_initialized_token().unwrap()[0];
    module.open_rw_session(slot).unwrap()
}

fn module() -> Pkcs11 {
    let module = Pkcs11::new(MODULE).unwrap();
    // The vault may have done it.
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).ok();
    module
}

fn id_bytes(id: KeyId) -> Vec<u8> {
    let digits = id.to_string();
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn put(path: &Path, text: &str) {
    std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}
