//! The description (D4) of what a configuration reads.

use lamplighter_protocol::{Catalogue, Description, Device, DeviceName, Grid, PropertyName, Series};

use super::Config;
use super::device::AGENT_DEVICE;

/// What the agent observes of itself, in the order of the series of the device [`AGENT_DEVICE`].
pub const AGENT_PROPERTIES: [&str; 4] =
    ["agent_uptime", "agent_memory", "agent_backlog", "agent_missed_ticks"];

const AGENT_MODEL: &str = "lamplighter-agent";

impl Config {
    /// Describes the devices in the order of the file, then the device [`AGENT_DEVICE`]; each grid stands there once.
    ///
    /// # Panics
    /// If the catalogue lacks a property that a sensor of ours observes; the built-in one has them all.
    pub fn description(&self, catalogue: &Catalogue) -> Description {
        let mut grids = Vec::new();
        let mut devices: Vec<Device> = Vec::new();
        for device in &self.devices {
            devices.push(Device {
                name: device.name.clone(),
                grid: Some(place(&mut grids, device.grid)),
                model: device.sensor.model().to_owned(),
                series: series(device.sensor.properties(), catalogue),
            });
        }
        devices.push(Device {
            name: DeviceName::new(AGENT_DEVICE).expect("agent is a device name"),
            grid: Some(place(&mut grids, self.health.grid)),
            model: AGENT_MODEL.to_owned(),
            series: series(&AGENT_PROPERTIES, catalogue),
        });
        Description { grids, devices }
    }
}

fn place(grids: &mut Vec<Grid>, grid: Grid) -> usize {
    grids.iter().position(|other| *other == grid).unwrap_or_else(|| {
        grids.push(grid);
        grids.len() - 1
    })
}

fn series(properties: &[&str], catalogue: &Catalogue) -> Vec<Series> {
    let one = |name: &&str| {
        let name = PropertyName::new(name).expect("our properties are named by the rule");
        let property = catalogue.get(&name).expect("the catalogue has what our sensors observe");
        Series {
            property: name,
            channel: None,
            value_type: property.value_type,
            unit: property.unit.clone(),
            resolution: property.resolution,
        }
    };
    properties.iter().map(one).collect()
}
