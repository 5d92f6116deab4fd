//! `server.pkcs11_uri`: the token that holds the lamppost's keys, named as RFC 7512 says.
//!
//! Of the attributes of RFC 7512, `token` and `serial` say which token it is, `module-path` what speaks to it and
//! `pin-source` where the PIN is. What else there is has no meaning here and is refused: the agent names its keys itself,
//! and a PIN has no place in a configuration that is printed and copied.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::reader::{Parsed, shown};
use super::value::text;

/// A token of PKCS #11, and how to speak to it. Prints as a URI, which holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUri {
    /// The token's label, as it was given when the token was initialised.
    pub token: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// The library that speaks to it.
    pub module: PathBuf,
    /// The file with the user's PIN.
    pub pin_file: PathBuf,
}

const SCHEME: &str = "pkcs11:";

/// Before a path that is written as a URI (RFC 8089).
const FILE_SCHEME: &str = "file:";

const EXAMPLE: &str = "pkcs11:token=LABEL?module-path=/PATH/MODULE.so&pin-source=file:/PATH/PIN";

impl TokenUri {
    /// An example, as a text of the file.
    pub(super) const EXAMPLE: &str = "pkcs11:token=lamppost?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/lamplighter/pin";

    pub(super) fn read(value: &DeValue<'_>, folder: &Path) -> Parsed<Self> {
        let uri = text(value, 4096)?;
        let rest = uri
            .strip_prefix(SCHEME)
            .ok_or_else(|| format!("\"{}\" is no PKCS#11 URI (RFC 7512); write {EXAMPLE}", shown(&uri)))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let [token, serial] = attributes(path, ';', ["token", "serial"])?;
        let [module, pin] = attributes(query, '&', ["module-path", "pin-source"])?;
        if token.is_none() && serial.is_none() {
            return Err(format!("it does not say which token; name it by token or serial: {EXAMPLE}"));
        }
        let missing = |name: &str| format!("{name} is missing in it; write {EXAMPLE}");
        let module = module.ok_or_else(|| missing("module-path"))?;
        let pin = pin.ok_or_else(|| missing("pin-source"))?;
        if pin.starts_with('|') {
            return Err(
                "pin-source is a command, and none is run for a PIN; write file: and a path".to_owned()
            );
        }
        let pin_path = pin.strip_prefix(FILE_SCHEME).unwrap_or(&pin);
        let pin_path = pin_path.strip_prefix("//").unwrap_or(pin_path);
        Ok(Self { token, serial, module: folder.join(module), pin_file: folder.join(pin_path) })
    }

    /// Which token it is, for people.
    pub fn name(&self) -> String {
        match (&self.token, &self.serial) {
            (Some(token), _) => format!("\"{token}\""),
            (None, Some(serial)) => format!("number {serial}"),
            (None, None) => "without a name".to_owned(),
        }
    }
}

impl fmt::Display for TokenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        let mut separator = "";
        for (name, value) in [("token", &self.token), ("serial", &self.serial)] {
            if let Some(value) = value {
                write!(f, "{separator}{name}={}", encoded(value))?;
                separator = ";";
            }
        }
        let (module, pin) = (self.module.to_string_lossy(), self.pin_file.to_string_lossy());
        write!(f, "?module-path={}&pin-source={FILE_SCHEME}{}", encoded(&module), encoded(&pin))
    }
}

/// The values of these attributes, decoded; what else stands there is refused.
fn attributes<const N: usize>(part: &str, separator: char, names: [&str; N]) -> Parsed<[Option<String>; N]> {
    let mut values = [const { None }; N];
    for attribute in part.split(separator).filter(|attribute| !attribute.is_empty()) {
        let (name, value) = attribute
            .split_once('=')
            .ok_or_else(|| format!("\"{}\" in it is no attribute; write NAME=VALUE", shown(attribute)))?;
        let place = names.iter().position(|known| *known == name).ok_or_else(|| {
            format!("the attribute \"{}\" has no meaning here; remove it, and write {EXAMPLE}", shown(name))
        })?;
        let value = decoded(value).ok_or_else(|| {
            format!(
                "{name} is not well encoded; write what is no letter, digit or one of -._~/ as %XX, of UTF-8"
            )
        })?;
        if value.is_empty() || value.contains(char::is_control) {
            return Err(format!("{name} is empty or not printable; write {EXAMPLE}"));
        }
        if values[place].replace(value).is_some() {
            return Err(format!("{name} stands there twice; remove one"));
        }
    }
    Ok(values)
}

/// Text of a URI without its percent signs (RFC 3986, 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Text as it may stand in a URI wherever a path may: unreserved characters (RFC 3986, 2.3) and slashes are themselves.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            byte => write!(encoded, "%{byte:02X}").expect("a String takes everything"),
        }
    }
    encoded
}
