mod client;
mod enrol;
mod fleet;
mod keeper;
mod renewal;
mod store;
mod token;
