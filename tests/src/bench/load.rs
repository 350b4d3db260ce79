//! Loads, and what became of them. One thread sends and receives: a second one would only take a
//! core from the machine that is measured.

use std::time::{Duration, Instant};

use lb::MacAddr;

use super::connections::{Heard, client_hears, real_hears};
use super::frames::{Mark, Side, Template, answer, turn_back};
use super::wire::{BATCH, Wire, wait};

/// Frames that have not come by then will not.
const PATIENCE: Duration = Duration::from_millis(500);

/// A wire has nobody wait: what is due and not sent waits in a ring, as a NIC's, and what does not
/// fit into it is lost.
const RING_FRAMES: u64 = 1024;

/// Where a frame's way ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trip {
    /// At the reals.
    OneWay,
    /// At the client again, since the reals send each back by way of `reply_mac`.
    Round { reply_mac: MacAddr },
    /// With the end of the connection that it opens.
    Connection { reply_mac: MacAddr, vip_mac: MacAddr },
}

/// How frames follow one another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many are under way at a time.
    Window(u64),
    /// So many a second, whatever becomes of them.
    Rate(f64),
}

/// What bounds a load.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub frames: u64,
    pub time: Duration,
}

pub struct Outcome {
    pub sent: u64,
    pub received: u64,
    /// Due, and never sent, since the wire took them too slowly.
    pub refused: u64,
    /// Behind one that was sent later.
    pub overtaken: u64,
    /// From the first frame sent to the last one received.
    pub time: Duration,
    pub latencies: Vec<Duration>,
}

/// Both ends that the harness has.
pub struct Ends {
    pub client: Wire,
    pub reals: Wire,
    epoch: Instant,
    /// Frames sent in all loads: their numbers.
    next: u64,
    /// Frames that the stations owe.
    by_client: Vec<Vec<u8>>,
    by_reals: Vec<Vec<u8>>,
}

impl Outcome {
    /// Sent, and never seen again.
    pub fn lost(&self) -> u64 {
        self.sent - self.received
    }

    /// Frames a second.
    pub fn rate(&self) -> f64 {
        self.received as f64 / self.time.as_secs_f64()
    }
}

/// What came of a load.
struct Arrivals {
    /// Smaller numbers are of earlier loads.
    first: u64,
    received: u64,
    overtaken: u64,
    /// Above all that came.
    next: u64,
    last: Option<Instant>,
    latencies: Vec<Duration>,
}

impl Arrivals {
    fn after(first: u64) -> Arrivals {
        Arrivals { first, received: 0, overtaken: 0, next: 0, last: None, latencies: Vec::new() }
    }

    fn count(&mut self, mark: Mark, now: Instant, epoch: Instant) {
        if mark.number < self.first {
            return;
        }
        self.received += 1;
        self.overtaken += u64::from(mark.number < self.next);
        self.next = self.next.max(mark.number + 1);
        self.last = Some(now);
        self.latencies.push((now - epoch).saturating_sub(Duration::from_nanos(mark.sent_ns)));
    }

    /// A connection that is done, known by the end of its number. They may be done in any order.
    fn count_closed(&mut self, number: u32, now: Instant) {
        let is_of_this_load = number.wrapping_sub(self.first as u32) < u32::MAX / 2;
        self.received += u64::from(is_of_this_load);
        self.last = Some(now);
    }
}

impl Ends {
    pub fn new(client: Wire, reals: Wire) -> Ends {
        let epoch = Instant::now();
        Ends { client, reals, epoch, next: 0, by_client: Vec::new(), by_reals: Vec::new() }
    }

    /// For so long the stations do what stations do by themselves.
    pub fn rest(&mut self, time: Duration) -> Result<(), String> {
        let start = Instant::now();
        while start.elapsed() < time {
            self.look(Trip::OneWay, &mut Arrivals::after(self.next))?;
            self.idle(false, time.saturating_sub(start.elapsed()));
        }
        Ok(())
    }

    /// Sends one frame, if the wire takes it, and says whether any arrives in so long.
    pub fn try_one(&mut self, template: &Template, wait: Duration) -> Result<bool, String> {
        let mut arrivals = Arrivals::after(0);
        self.offer(template, 1)?;
        self.idle(false, wait);
        self.look(Trip::OneWay, &mut arrivals)?;
        Ok(arrivals.received > 0)
    }

    /// A frame of the reals that is no part of a load.
    pub fn reals_say(&mut self, frame: Vec<u8>) {
        self.by_reals.push(frame);
    }

    /// Sends, and receives until everything has come or nothing more does.
    pub fn load(
        &mut self,
        template: &Template,
        pace: Pace,
        limit: Limit,
        trip: Trip,
    ) -> Result<Outcome, String> {
        self.load_watched(template, pace, limit, trip, &mut |_| {})
    }

    /// The same; `watch` is told after each look how many frames have come so far.
    pub fn load_watched(
        &mut self,
        template: &Template,
        pace: Pace,
        limit: Limit,
        trip: Trip,
        watch: &mut dyn FnMut(u64),
    ) -> Result<Outcome, String> {
        // What is still under way from before is not of this load.
        self.rest(Duration::from_millis(50))?;
        let start = Instant::now();
        let mut arrivals = Arrivals::after(self.next);
        let (mut sent, mut refused, mut given_up) = (0, 0, 0);
        let mut heard = start;
        loop {
            let is_over = sent + refused >= limit.frames || start.elapsed() >= limit.time;
            let before = arrivals.received;
            self.look(trip, &mut arrivals)?;
            watch(arrivals.received);
            let under_way = sent - arrivals.received;
            if is_over && under_way == 0 {
                break;
            }
            let due = match pace {
                _ if is_over => 0,
                Pace::Window(frames) => (frames + given_up).saturating_sub(under_way),
                Pace::Rate(rate) => {
                    let due = ((rate * start.elapsed().as_secs_f64()) as u64).min(limit.frames);
                    let due = due.saturating_sub(sent + refused);
                    let over = due.saturating_sub(RING_FRAMES);
                    refused += over;
                    due - over
                }
            };
            let due = due.min(limit.frames.saturating_sub(sent + refused));
            let sent_now = self.offer(template, due)?;
            sent += sent_now;
            if arrivals.received > before || sent == arrivals.received {
                heard = Instant::now();
            } else if heard.elapsed() >= PATIENCE {
                if is_over {
                    break;
                }
                given_up = sent - arrivals.received;
                heard = Instant::now();
            }
            let has_time = matches!(pace, Pace::Window(_)) || is_over;
            if arrivals.received == before && sent_now == 0 && has_time {
                self.idle(due > 0, PATIENCE);
            }
        }
        let end = arrivals.last.unwrap_or_else(Instant::now);
        let Arrivals { received, overtaken, latencies, .. } = arrivals;
        Ok(Outcome { sent, received, refused, overtaken, time: end - start, latencies })
    }

    /// Sends what it can of what is due.
    fn offer(&mut self, template: &Template, due: u64) -> Result<u64, String> {
        if due == 0 {
            return Ok(0);
        }
        let (first, sent_ns) = (self.next, self.epoch.elapsed().as_nanos() as u64);
        let taken = self.client.send(due.min(BATCH as u64) as usize, &mut |at, buffer| {
            template.write(Mark { number: first + at as u64, sent_ns }, buffer)
        })?;
        self.next += taken as u64;
        Ok(taken as u64)
    }

    /// Takes what has come on both wires, and says what is to be said to it.
    fn look(&mut self, trip: Trip, arrivals: &mut Arrivals) -> Result<(), String> {
        let (by_reals, by_client) = (&mut self.by_reals, &mut self.by_client);
        let (now, epoch) = (Instant::now(), self.epoch);
        self.reals.receive(&mut |frame| match (Mark::of(frame), trip) {
            (Some(mark), Trip::OneWay) => arrivals.count(mark, now, epoch),
            (Some(_), Trip::Round { reply_mac }) => {
                turn_back(frame, reply_mac);
                by_reals.push(frame.to_vec());
            }
            (None, Trip::Connection { reply_mac, .. }) => {
                by_reals.extend(real_hears(frame, reply_mac));
                by_reals.extend(answer(Side::Reals, frame));
            }
            _ => by_reals.extend(answer(Side::Reals, frame)),
        })?;
        let now = Instant::now();
        self.client.receive(&mut |frame| match (Mark::of(frame), trip) {
            (Some(mark), Trip::Round { .. }) => arrivals.count(mark, now, epoch),
            (None, Trip::Connection { vip_mac, .. }) => match client_hears(frame, vip_mac) {
                Some((heard, says)) => {
                    if let Heard::Closed(number) = heard {
                        arrivals.count_closed(number, now);
                    }
                    by_client.extend(says);
                }
                None => by_client.extend(answer(Side::Client, frame)),
            },
            _ => by_client.extend(answer(Side::Client, frame)),
        })?;
        send_owed(&mut self.reals, &mut self.by_reals)?;
        send_owed(&mut self.client, &mut self.by_client)
    }

    /// Waits until something comes, or what is owed or due can be sent.
    fn idle(&self, is_due: bool, limit: Duration) {
        let client = (&self.client, is_due || !self.by_client.is_empty());
        wait(&[client, (&self.reals, !self.by_reals.is_empty())], limit);
    }
}

fn send_owed(wire: &mut Wire, owed: &mut Vec<Vec<u8>>) -> Result<(), String> {
    if owed.is_empty() {
        return Ok(());
    }
    let taken = wire.send(owed.len(), &mut |at, buffer| {
        buffer[..owed[at].len()].copy_from_slice(&owed[at]);
        owed[at].len()
    })?;
    owed.drain(..taken);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::frames::Traffic;
    use super::super::wire::Netdev;
    use super::*;

    /// A wire to itself: the client's end is one, the reals' end the other.
    fn looped() -> Ends {
        let (client, reals) = Netdev::Dgram.loop_back().expect("descriptors are free");
        Ends::new(client, reals)
    }

    #[test]
    fn every_frame_is_counted_in_a_window() {
        for window in [1, 32, 500] {
            let template = Template::new(Traffic::Switched { length: 64 }, MacAddr::SWITCH);
            let limit = Limit { frames: 2_000, time: Duration::from_secs(20) };
            let outcome = looped().load(&template, Pace::Window(window), limit, Trip::OneWay);
            let outcome = outcome.expect("a wire");
            assert_eq!((outcome.sent, outcome.received), (2_000, 2_000), "window {window}");
            assert_eq!((outcome.overtaken, outcome.latencies.len()), (0, 2_000));
        }
    }

    #[test]
    fn what_goes_round_comes_back() {
        let template = Template::new(Traffic::Flows(10), MacAddr::SWITCH);
        let limit = Limit { frames: 300, time: Duration::from_secs(20) };
        let trip = Trip::Round { reply_mac: MacAddr::SWITCH };
        let outcome = looped().load(&template, Pace::Window(8), limit, trip).expect("a wire");
        assert_eq!((outcome.sent, outcome.received), (300, 300));
    }

    #[test]
    fn a_rate_ends_with_its_frames() {
        let template = Template::new(Traffic::Flows(10), MacAddr::SWITCH);
        let limit = Limit { frames: 500, time: Duration::from_secs(20) };
        let outcome = looped().load(&template, Pace::Rate(20_000.0), limit, Trip::OneWay);
        let outcome = outcome.expect("a wire");
        assert_eq!((outcome.sent, outcome.lost()), (500, 0));
    }

    #[test]
    fn connections_are_counted_when_they_are_closed() {
        let mac = MacAddr::SWITCH;
        let template = Template::new(Traffic::Connections, mac);
        let limit = Limit { frames: 300, time: Duration::from_secs(20) };
        let trip = Trip::Connection { reply_mac: mac, vip_mac: mac };
        let outcome = looped().load(&template, Pace::Window(8), limit, trip).expect("a wire");
        assert_eq!((outcome.sent, outcome.received), (300, 300));
    }

    /// More than anything takes: what is not sent in time is not sent.
    #[test]
    fn a_ring_that_is_full_refuses() {
        let template = Template::new(Traffic::Flows(10), MacAddr::SWITCH);
        let limit = Limit { frames: 1_000_000, time: Duration::from_secs(20) };
        let outcome = looped().load(&template, Pace::Rate(1e9), limit, Trip::OneWay);
        let outcome = outcome.expect("a wire");
        assert_eq!((outcome.sent + outcome.refused, outcome.lost()), (1_000_000, 0));
        assert!(outcome.refused > 0);
    }

    /// Nobody is there to send back: it ends, and says what is missing.
    #[test]
    fn what_is_lost_is_told() {
        let (client, _far) = Netdev::Dgram.loop_back().expect("descriptors are free");
        let (reals, _other) = Netdev::Dgram.loop_back().expect("descriptors are free");
        let template = Template::new(Traffic::Flows(1), MacAddr::SWITCH);
        let limit = Limit { frames: 3, time: Duration::from_secs(20) };
        let outcome =
            Ends::new(client, reals).load(&template, Pace::Window(8), limit, Trip::OneWay);
        let outcome = outcome.expect("the wires are there");
        assert_eq!((outcome.sent, outcome.received, outcome.lost()), (3, 0, 3));
    }
}
