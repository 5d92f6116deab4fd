//! Golden payloads, read by Google's protobuf from the published `.proto`.

use std::path::Path;

use serde_json::Value;

use crate::stage::{proto_dir, python, run};

#[test]
fn googles_protobuf_sees_in_the_golden_payloads_what_is_written_beside_them() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/golden");
    let said = run(python("read_golden.py").arg(proto_dir()).arg(&golden)).succeeded();
    let mut seen: Value = serde_json::from_str(&said).unwrap();
    for name in ["hello", "description", "frame", "dropped", "position", "position-clock"] {
        let written = std::fs::read_to_string(golden.join(format!("{name}.json"))).unwrap();
        let written: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(seen[name].take(), written, "{name}");
    }
}
