//! The model: a list of datagrams, each with a mark for every byte that was received.

use super::*;
use crate::flow::fragments::datagram::SPANS_MAX;

const PAYLOAD_BYTES: usize = 256;
const KEYS: u32 = 4;

#[derive(Clone, Debug)]
enum Act {
    First { identification: u32, units: u16, more: bool },
    Later { identification: u32, at: u16, len_bytes: usize, more: bool },
    Release(u32),
    Sweep,
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let first = (0..KEYS, 1u16..4, proptest::bool::weighted(0.95))
        .prop_map(|(identification, units, more)| Act::First { identification, units, more });
    let later = (0..KEYS, 1u16..24, 1usize..4, proptest::bool::weighted(0.85)).prop_map(
        |(identification, at, units, more)| {
            let len_bytes = units * 8 - if more { 0 } else { 3 };
            Act::Later { identification, at, len_bytes, more }
        },
    );
    prop_oneof![
        2 => first,
        8 => later,
        2 => (0..KEYS).prop_map(Act::Release),
        2 => Just(Act::Sweep),
        2 => (0u64..400).prop_map(Act::Wait),
    ]
}

/// The fragments of one datagram in any order, each once: what an honest network brings.
fn shuffled() -> impl Strategy<Value = Vec<Act>> {
    let acts = (1u16..12).prop_map(|last| {
        let later = (1..=last).map(move |at| {
            let more = at < last;
            Act::Later { identification: 0, at, len_bytes: if more { 8 } else { 5 }, more }
        });
        let first = Act::First { identification: 0, units: 1, more: true };
        later.chain([first]).collect::<Vec<_>>()
    });
    acts.prop_shuffle()
}

struct ModelDatagram {
    identification: u32,
    begun: u64,
    received: [bool; PAYLOAD_BYTES],
    end: Option<usize>,
    decision: Option<u32>,
    spoiled: bool,
    held: Vec<(u64, Vec<u8>)>,
}

#[derive(Default)]
struct Model {
    datagrams: Vec<ModelDatagram>,
    untold: usize,
}

impl Model {
    fn first(&mut self, identification: u32, fragment: Fragment, decision: u32, now: u64) -> bool {
        let good = self.receive(identification, fragment, now);
        if good {
            self.last().decision = Some(decision);
            self.leave_if_complete();
        }
        good
    }

    fn later(
        &mut self,
        identification: u32,
        fragment: Fragment,
        frame: &[u8],
        now: u64,
    ) -> Result<Later<u32>, Refused> {
        if !self.receive(identification, fragment, now) {
            return Err(Refused);
        }
        let Some(decision) = self.last().decision else {
            self.last().held.push((now, frame.to_vec()));
            return Ok(Later::Held);
        };
        self.leave_if_complete();
        Ok(Later::Decided(decision))
    }

    fn release(&mut self, identification: u32) -> Vec<Vec<u8>> {
        match self.bring_last(identification) && self.last().decision.is_some() {
            true => {
                let frames = self.last().held.drain(..).map(|(_, frame)| frame).collect();
                self.leave_if_complete();
                frames
            }
            false => Vec::new(),
        }
    }

    fn sweep(&mut self, now: u64) -> usize {
        for datagram in &mut self.datagrams {
            if datagram.held.iter().any(|(since, _)| now - since >= 500) {
                self.untold += datagram.spoil();
            }
        }
        self.untold += self
            .datagrams
            .extract_if(.., |datagram| now - datagram.begun >= 2000)
            .map(|datagram| datagram.held.len())
            .sum::<usize>();
        mem::take(&mut self.untold)
    }

    fn held(&self) -> usize {
        self.untold + self.datagrams.iter().map(|datagram| datagram.held.len()).sum::<usize>()
    }

    /// Whether the fragment fits; its datagram is then the last one.
    fn receive(&mut self, identification: u32, fragment: Fragment, now: u64) -> bool {
        if self.bring_last(identification) && now - self.last().begun >= 2000 {
            let expired = self.datagrams.pop().unwrap();
            self.untold += expired.held.len();
        }
        if !self.bring_last(identification) {
            self.datagrams.push(ModelDatagram {
                identification,
                begun: now,
                received: [false; PAYLOAD_BYTES],
                end: None,
                decision: None,
                spoiled: false,
                held: Vec::new(),
            });
        }
        let good = self.last().receive(fragment);
        if !good {
            self.untold += self.last().spoil();
        }
        good
    }

    fn bring_last(&mut self, identification: u32) -> bool {
        let at = self.datagrams.iter().position(|d| d.identification == identification);
        if let Some(at) = at {
            let datagram = self.datagrams.remove(at);
            self.datagrams.push(datagram);
        }
        at.is_some()
    }

    fn last(&mut self) -> &mut ModelDatagram {
        self.datagrams.last_mut().unwrap()
    }

    fn leave_if_complete(&mut self) {
        let datagram = self.last();
        let whole = datagram.end.is_some_and(|end| datagram.received[..end].iter().all(|&b| b));
        if whole && datagram.decision.is_some() && datagram.held.is_empty() {
            self.datagrams.pop();
        }
    }
}

impl ModelDatagram {
    fn receive(&mut self, fragment: Fragment) -> bool {
        let span = usize::from(fragment.start)..usize::from(fragment.end);
        let overlaps = self.received[span.clone()].contains(&true);
        self.received[span.clone()].fill(true);
        if !fragment.more {
            self.end = Some(self.end.map_or(span.end, |known| known.min(span.end)));
        }
        let beyond = self.end.is_some_and(|end| self.received[end..].contains(&true));
        let runs = self.received.chunk_by(|one, next| one == next).filter(|run| run[0]).count();
        !self.spoiled && !overlaps && !beyond && runs <= SPANS_MAX
    }

    /// Returns how many held frames ended by it.
    fn spoil(&mut self) -> usize {
        self.spoiled = true;
        self.decision = None;
        mem::take(&mut self.held).len()
    }
}

fn walk(acts: Vec<Act>) -> Result<(), TestCaseError> {
    let mut table = Fragments::<u32>::new(64, 4096, 5);
    let mut model = Model::default();
    let mut now = 0;
    for (step, act) in (0u32..).zip(acts) {
        match act {
            Act::First { identification, units, more } => {
                let fragment = piece(0, usize::from(units) * 8, more);
                prop_assert_eq!(
                    table.first(&key(1, identification), fragment, step, ms(now)).is_ok(),
                    model.first(identification, fragment, step, now)
                );
            }
            Act::Later { identification, at, len_bytes, more } => {
                let fragment = piece(at * 8, len_bytes, more);
                let frame = step.to_be_bytes();
                prop_assert_eq!(
                    table.later(&key(1, identification), fragment, &frame, ms(now)),
                    model.later(identification, fragment, &frame, now)
                );
            }
            Act::Release(identification) => {
                let released = table.released(&key(1, identification));
                prop_assert_eq!(released, model.release(identification));
            }
            Act::Sweep => prop_assert_eq!(table.swept(ms(now))[1], model.sweep(now)),
            Act::Wait(millis) => now += millis,
        }
        prop_assert_eq!(table.len(), model.datagrams.len());
        prop_assert_eq!(table.held_of(port(1)), model.held());
        table.check();
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn p20_p22_behaves_as_the_model(acts in proptest::collection::vec(act(), 1..80)) {
        walk(acts)?;
    }

    #[test]
    fn f10_behaves_as_the_model_in_any_order(acts in shuffled()) {
        walk(acts)?;
    }
}
