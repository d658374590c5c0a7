//! `bench --profile`: what each kind of operation takes, and what this machine can do at most.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use translate::Precision;
use translate::compute::profile::Cost;
use translate::kernels::{self, Activation, PackedMatrix, Workspace};

/// How long each limit is measured.
const WHILE: Duration = Duration::from_millis(100);

/// What all threads together can do in a second.
pub(super) struct Limits {
    /// Multiplications of a product of 64 rows whose weights are in the cache.
    multiplications: f64,
    /// Bytes read from 32 MB a thread.
    bytes: f64,
    threads: usize,
}

impl Limits {
    /// Measures them with that many threads, for products in that precision.
    pub(super) fn measure(precision: Precision, threads: usize) -> Self {
        const WIDTH: usize = 512;
        const ROWS: usize = 64;
        let precision = match precision {
            Precision::Int8 => kernels::Precision::Int8,
            Precision::Int16 => kernels::Precision::Int16,
            _ => kernels::Precision::F32,
        };
        let weights: Vec<f32> = (0..WIDTH * WIDTH).map(|i| (i % 251) as f32 - 125.0).collect();
        let matrix = PackedMatrix::pack(&weights, WIDTH, WIDTH, precision);
        let multiplications = in_threads(threads, || {
            let (x, mut out) = (vec![0.5; ROWS * WIDTH], vec![0.0; ROWS * WIDTH]);
            let (mut workspace, matrix) = (Workspace::new(1), &matrix);
            move || {
                matrix.multiply(&mut workspace, &x, None, Activation::Identity, &mut out);
                black_box(&mut out);
                ROWS * matrix.elements()
            }
        });
        let bytes = in_threads(threads, || {
            let numbers = vec![1u64; 4 << 20];
            move || {
                black_box(numbers.iter().fold(0u64, |sum, number| sum ^ number));
                size_of_val(&numbers[..])
            }
        });
        Self { multiplications, bytes, threads }
    }

    /// Seconds of one thread below which the operations cannot take.
    fn at_best(&self, cost: &Cost) -> f64 {
        let threads = self.threads as f64;
        let multiplying = cost.multiplications as f64 / self.multiplications * threads;
        multiplying.max(cost.weight_bytes as f64 / self.bytes * threads)
    }
}

/// What `make()` counts in a second, called again and again in each of so many threads.
fn in_threads<W: FnMut() -> usize>(threads: usize, make: impl Fn() -> W + Sync) -> f64 {
    let measure = || {
        let mut work = make();
        work();
        let (start, mut done) = (Instant::now(), 0);
        while start.elapsed() < WHILE {
            done += work();
        }
        done as f64 / start.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(measure)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(0.0)).sum()
    })
}

fn rounded(number: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (number * scale).round() / scale
}

/// The fields `profile` and `limits` of a measurement that took `seconds` of all threads together.
pub(super) fn report(costs: &[Cost], seconds: f64, limits: &Limits) -> Map<String, Value> {
    let mut rest = seconds;
    let mut steps: Vec<Value> = Vec::new();
    for cost in costs {
        rest -= cost.seconds;
        let mut step = json!({
            "step": cost.step.name(),
            "share": rounded(cost.seconds / seconds, 3),
            "seconds": rounded(cost.seconds, 4),
            "calls": cost.calls,
        });
        if cost.multiplications > 0 {
            step["multiplications"] = cost.multiplications.into();
            step["weight_bytes"] = cost.weight_bytes.into();
            step["seconds_at_best"] = rounded(limits.at_best(cost), 4).into();
        }
        steps.push(step);
    }
    let name = "text, search and everything else";
    steps.push(json!({"step": name, "share": rounded(rest / seconds, 3), "seconds": rounded(rest, 4)}));
    let mut fields = Map::new();
    fields.insert("profile".to_owned(), steps.into());
    fields.insert(
        "limits".to_owned(),
        json!({
            "multiplications_per_second": limits.multiplications.round(),
            "bytes_per_second": limits.bytes.round(),
        }),
    );
    fields
}

/// The same for people, a line for each kind of operation.
pub(super) fn lines(measured: &Map<String, Value>) -> Vec<String> {
    let number = |step: &Value, key: &str| step[key].as_f64();
    let mut lines = Vec::new();
    for step in measured["profile"].as_array().into_iter().flatten() {
        let share = number(step, "share").unwrap_or(0.0) * 100.0;
        let seconds = number(step, "seconds").unwrap_or(0.0);
        let best = number(step, "seconds_at_best").map_or(String::new(), |best| format!("  at best {best:.3} s"));
        lines.push(format!("{share:5.1} %  {seconds:8.3} s  {}{best}", step["step"].as_str().unwrap_or("")));
    }
    let limit = |key: &str, unit: f64| measured["limits"][key].as_f64().unwrap_or(0.0) / unit;
    lines.push(format!(
        "This machine multiplies {:.0} billion numbers a second and reads {:.0} GB.",
        limit("multiplications_per_second", 1e9),
        limit("bytes_per_second", 1e9)
    ));
    lines
}
