//! What one run of a client measured.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// Requests in a second.
    pub(super) rate: f64,
    /// Requests in a second of processor time: the client's, the server's, and that of what is
    /// between them. What else the machine does changes it less than the rate.
    pub(super) per_processor: f64,
}

impl Sample {
    /// From the output of wrk, and the processor time that was spent meanwhile.
    pub(super) fn of_wrk(output: &str, processor: Duration) -> Result<Self> {
        let failed = output.contains("Socket errors") || output.contains("Non-2xx");
        ensure!(!failed, "requests failed");
        let rate = output.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
        let requests = output.lines().find_map(|line| line.split_once(" requests in "));
        let (requests, _) = requests.context("no number of requests")?;
        Self::new(rate.context("no rate")?.trim().parse()?, requests.trim().parse()?, processor)
    }

    /// The same of `udp_rate`.
    pub(super) fn of_datagrams(output: &str, processor: Duration) -> Result<Self> {
        let (answers, seconds) = output.trim().split_once(" answers in ").context("no answers")?;
        let (answers, seconds): (f64, f64) = (answers.parse()?, seconds.parse()?);
        Self::new(answers / seconds, answers, processor)
    }

    fn new(rate: f64, requests: f64, processor: Duration) -> Result<Self> {
        ensure!(!processor.is_zero(), "no processor time was spent");
        Ok(Self { rate, per_processor: requests / processor.as_secs_f64() })
    }

    /// The ratio of one part of it to the mean of two others: what was measured just before
    /// and just after.
    pub(super) fn ratio(self, neighbours: [Self; 2], part: fn(Self) -> f64) -> f64 {
        let [before, after] = neighbours.map(part);
        2.0 * part(self) / (before + after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "Running 1s test @ http://10.99.0.1:8100/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.94ms  505.15us   7.40ms   79.50%
    Req/Sec    14.58k     1.55k   16.68k    80.00%
  15200 requests in 1.00s, 12.54MB read
Requests/sec:  15163.81
Transfer/sec:     12.51MB
";

    #[test]
    fn output_of_wrk_is_read() {
        let sample = Sample::of_wrk(OUTPUT, Duration::from_millis(1_900)).unwrap();
        assert_eq!(sample, Sample { rate: 15_163.81, per_processor: 8_000.0 });
    }

    #[test]
    fn answers_are_counted() {
        let sample = Sample::of_datagrams("3000 answers in 1.5\n", Duration::from_secs(2)).unwrap();
        assert_eq!(sample, Sample { rate: 2_000.0, per_processor: 1_500.0 });
        assert!(Sample::of_datagrams("lost", Duration::from_secs(1)).is_err());
    }

    #[test]
    fn failed_requests_are_no_measurement() {
        let failed = OUTPUT.to_owned() + "  Non-2xx or 3xx responses: 3\n";
        assert!(Sample::of_wrk(&failed, Duration::from_secs(1)).is_err());
        let errors = OUTPUT.to_owned() + "  Socket errors: connect 0, read 3, write 0, timeout 0\n";
        assert!(Sample::of_wrk(&errors, Duration::from_secs(1)).is_err());
        assert!(Sample::of_wrk("", Duration::from_secs(1)).is_err());
    }

    #[test]
    fn neighbours_cancel_a_drift_out() {
        let sample = |rate| Sample { rate, per_processor: rate };
        let ratio = sample(90.0).ratio([sample(110.0), sample(90.0)], |sample| sample.rate);
        assert!((ratio - 0.9).abs() < 1e-9);
    }
}
