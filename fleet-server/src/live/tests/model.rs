//! A feed against a simple model of it: a list of all that was ever published.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const LAMPPOSTS: [&str; 3] = ["DF1", "DF2", "DF3"];
const PROPERTIES: [&str; 2] = ["air_temperature", "wind_speed"];

#[derive(Clone, Debug)]
enum Step {
    Observe {
        lamppost: usize,
        property: usize,
    },
    ChangeState {
        lamppost: usize,
    },
    Read,
    /// The client goes, and comes back with the last id that it was told.
    Return,
    /// The client goes, and comes back with an id from this long before the head.
    ReturnFrom(u64),
    /// The client goes, and comes back with an id that nobody told it.
    ReturnFromElsewhere,
}

/// What there is one of in an event: lamppost, and property of an observation.
type Key = (usize, Option<usize>);

/// What an event is expected to tell: keys, and when in the row of all changes.
type Latest = BTreeSet<(Key, u64)>;

/// All that was published, and how far the client was told.
#[derive(Debug, Default)]
struct Model {
    ring: usize,
    event: usize,
    filter: usize,
    published: Vec<Key>,
    told: u64,
    reset: Option<ResetReason>,
    last_id: Option<u64>,
}

#[derive(Debug, PartialEq)]
enum Told {
    Reset(u64, ResetReason),
    Changes(u64, Latest),
}

impl Model {
    fn head(&self) -> u64 {
        self.published.len() as u64
    }

    fn reaches(&self, sequence: u64) -> bool {
        self.head() - sequence <= self.ring as u64
    }

    fn wants(&self, (lamppost, property): Key) -> bool {
        match self.filter {
            0 => true,
            1 => lamppost == 0,
            2 => property != Some(1),
            3 => property.is_none(),
            _ => lamppost == 0 && property != Some(1),
        }
    }

    fn come_back(&mut self, id: Option<EventId>) {
        (self.told, self.reset) = match id {
            None => (self.head(), None),
            Some(id) if id.life != 1 || id.sequence > self.head() => {
                (self.head(), Some(ResetReason::Restarted))
            }
            Some(id) if self.reaches(id.sequence) => (id.sequence, None),
            Some(_) => (self.head(), Some(ResetReason::TooFarBehind)),
        };
    }

    fn read(&mut self) -> Option<Told> {
        let behind = (!self.reaches(self.told)).then_some(ResetReason::TooFarBehind);
        if let Some(reason) = self.reset.take().or(behind) {
            self.told = self.head();
            self.last_id = Some(self.told);
            return Some(Told::Reset(self.told, reason));
        }
        let mut latest = Latest::new();
        let lags = self.head() - self.told > self.event as u64;
        while self.told < self.head() {
            let key = self.published[usize::try_from(self.told).unwrap()];
            if self.wants(key) {
                let before = latest.iter().find(|(of, _)| *of == key).copied();
                if lags && latest.len() == self.event && before.is_none() {
                    break;
                }
                // Of a state there is only the latest, of a series only if the client lags.
                if let Some(before) = before.filter(|_| lags || key.1.is_none()) {
                    latest.remove(&before);
                }
                latest.insert((key, self.told + 1));
            }
            self.told += 1;
        }
        if latest.is_empty() {
            return None;
        }
        self.last_id = Some(self.told);
        Some(Told::Changes(self.told, latest))
    }
}

fn filter(number: usize) -> LiveFilter {
    let temperature = || WantedObservations::Of(PROPERTIES[0].parse().unwrap());
    match number {
        0 => LiveFilter::default(),
        1 => only(LAMPPOSTS[0]),
        2 => LiveFilter { observations: temperature(), ..LiveFilter::default() },
        3 => LiveFilter { observations: WantedObservations::None, ..LiveFilter::default() },
        _ => LiveFilter { observations: temperature(), ..only(LAMPPOSTS[0]) },
    }
}

/// What a feed said, in the words of the model: observations and states carry their sequence as a time.
fn in_words_of_the_model(event: LiveEvent) -> Told {
    let place = |of: &[&str], name: &str| of.iter().position(|one| *one == name).unwrap();
    match event {
        LiveEvent::Reset { id, reason } => Told::Reset(id.sequence, reason),
        LiveEvent::Changes(changes) => {
            let observations = changes.observations.iter().map(|one| {
                let property = place(&PROPERTIES, one.series.name.property.as_str());
                ((place(&LAMPPOSTS, one.lamppost.as_str()), Some(property)), one.time.0)
            });
            let states = changes.states.iter().map(|one| {
                let time = one.last_observation.unwrap();
                ((place(&LAMPPOSTS, one.lamppost.as_str()), None), time.0)
            });
            let told: Vec<(Key, i64)> = observations.chain(states).collect();
            let latest: Latest =
                told.iter().map(|(key, time)| (*key, u64::try_from(*time).unwrap())).collect();
            assert_eq!(latest.len(), told.len(), "nothing twice");
            Told::Changes(changes.id.sequence, latest)
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..LAMPPOSTS.len(), 0..PROPERTIES.len())
            .prop_map(|(lamppost, property)| Step::Observe { lamppost, property }),
        2 => (0..LAMPPOSTS.len()).prop_map(|lamppost| Step::ChangeState { lamppost }),
        3 => Just(Step::Read),
        1 => Just(Step::Return),
        1 => (0u64..12).prop_map(Step::ReturnFrom),
        1 => Just(Step::ReturnFromElsewhere),
    ]
}

proptest! {
    #[test]
    fn a_feed_tells_what_the_model_says(
        ring in 1usize..10,
        event in 1usize..5,
        chosen in 0usize..5,
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let (hub, _) = hub_of(ring, event);
        let mut feed = hub.subscribe(filter(chosen), None);
        let mut model = Model { ring, event, filter: chosen, ..Model::default() };
        for step in steps {
            let sequence = model.head() + 1;
            let time = i64::try_from(sequence).unwrap();
            let back = match step {
                Step::Observe { lamppost, property } => {
                    hub.publish(observation_of(LAMPPOSTS[lamppost], PROPERTIES[property], time));
                    model.published.push((lamppost, Some(property)));
                    continue;
                }
                Step::ChangeState { lamppost } => {
                    let last_observation = Some(UtcMillis(time));
                    let state = state(LAMPPOSTS[lamppost], Status::Late);
                    hub.publish_state(LamppostState { last_observation, ..state });
                    model.published.push((lamppost, None));
                    continue;
                }
                Step::Read => {
                    let event = told(&mut feed).map(in_words_of_the_model);
                    prop_assert_eq!(event, model.read());
                    continue;
                }
                Step::Return => model.last_id.map(id),
                Step::ReturnFrom(ago) => Some(id(model.head().saturating_sub(ago))),
                Step::ReturnFromElsewhere => Some(EventId { life: 2, sequence: model.head() }),
            };
            feed = hub.subscribe(filter(chosen), back);
            model.come_back(back);
        }
        prop_assert_eq!(hub.head(), id(model.head()));
    }
}
