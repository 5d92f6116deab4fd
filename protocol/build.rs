//! Compiles the published `.proto` files with a compiler in pure Rust, so that no `protoc` has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(["lamplighter/v1/delivery.proto"], ["proto"])?;
    prost_build::Config::new().bytes([".lamplighter.v1.Frame.records"]).compile_fds(descriptors)?;
    Ok(())
}
