//! The way down: acknowledgements, positions and commands.

use lamplighter_protocol::{Command, Leaf, Position, Topic};

use super::{LinkError, Uplink};
use crate::outbox::chain;
use crate::uplink::session::Heard;

impl Uplink {
    /// Returns whether the connection has proved itself: the server read what we say and answered.
    pub(super) async fn incoming(&mut self, publish: &rumqttc::Publish) -> Result<bool, LinkError> {
        match publish.topic.parse::<Topic>().map(|topic| topic.leaf) {
            Ok(Leaf::Position) => self.position(&publish.payload).await,
            Ok(Leaf::Command) => {
                self.command(&publish.payload).await?;
                Ok(false)
            }
            Ok(Leaf::Hello | Leaf::Description | Leaf::Frames(_)) | Err(_) => {
                tracing::warn!(
                    topic = publish.topic,
                    "the server sent something on a topic that is not for us"
                );
                Ok(false)
            }
        }
    }

    async fn position(&mut self, payload: &[u8]) -> Result<bool, LinkError> {
        let position = match Position::decode(payload) {
            Ok(position) => position,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the server sent a position that cannot be read");
                return Ok(false);
            }
        };
        // Before `now`: this task may stand still in between, and the server is then taken to have been asked too early rather
        // than too late.
        let came = self.clock.now().monotonic;
        let now = self.now();
        let Heard::Believed { asked } = self.session.position(&position, now) else { return Ok(false) };
        if let Some(time) = position.time() {
            let asked = came.saturating_sub(now.saturating_sub(asked));
            self.clock.hear_server_time(time, asked..came);
        }
        self.outbox.believe(position).await?;
        let now = self.wall();
        self.status.send_modify(|status| status.last_position_ms = Some(now.0));
        Ok(true)
    }

    async fn command(&mut self, payload: &[u8]) -> Result<(), LinkError> {
        match Command::decode(payload) {
            Ok(command) => self.outbox.command(command, self.clock.now()).await?,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the server sent a command that cannot be read");
            }
        }
        Ok(())
    }

    pub(super) fn acknowledged(&mut self) {
        let (wall, now) = (self.wall(), self.now());
        self.acknowledged += self.session.acknowledged(now);
        self.acknowledgements.mark(now, self.acknowledged);
        self.status.send_modify(|status| status.last_acknowledgement_ms = Some(wall.0));
    }
}
