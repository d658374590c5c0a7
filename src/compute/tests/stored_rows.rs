//! Output layers that are left where their rows can be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{matrix, random};
use crate::compute::{Backend, Kernels, LogSumExp, Precision, Workspace};
use crate::{Error, Result};

#[test]
fn a_table_whose_rows_are_read_gives_what_one_in_memory_gives() -> Result<()> {
    let backend = Kernels::new(Precision::F32)?;
    let (outputs, inputs) = (3000, 40);
    let table = random(outputs * inputs, 21);
    let in_memory = matrix(&backend, &table, inputs);
    let rows = table.clone();
    let read = move |first: usize, into: &mut [f32]| {
        into.copy_from_slice(&rows[first * inputs..][..into.len()]);
        Ok(())
    };
    let stored =
        backend.stored_rows(outputs, inputs, Box::new(read)).expect("f32 kernels leave large tables in the file");
    assert_eq!((backend.outputs(&stored), backend.inputs(&stored)), (outputs, inputs));

    let workspace = &mut Workspace::new(1);
    let x = backend.rows(&random(4 * inputs, 22), inputs)?;
    // Before and after all of it is needed and so packed, which the probabilities ask for.
    for normalise in [LogSumExp::None, LogSumExp::All, LogSumExp::None] {
        let results = [&stored, &in_memory].map(|table| -> Result<_> {
            let (mut embedded, mut best, mut sums) = (<Kernels as Backend>::Rows::default(), Vec::new(), Vec::new());
            backend.embed(table, 2.0, &[2999, 0, 7], &mut |_, _| {}, &mut embedded)?;
            backend.top_k(workspace, &x, table, None, 3, &[5], normalise, &mut best, &mut sums)?;
            Ok((backend.values(&embedded)?, best, sums))
        });
        let [found, expected] = results;
        assert_eq!(found?, expected?, "{normalise:?}");
    }
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    backend.logits(workspace, &x, &stored, None, &mut found)?;
    backend.logits(workspace, &x, &in_memory, None, &mut expected)?;
    assert_eq!(found, expected);
    Ok(())
}

#[test]
fn a_table_is_packed_when_few_rows_are_searched_again_and_again() -> Result<()> {
    let backend = Kernels::new(Precision::F32)?;
    let (outputs, inputs) = (2000, 8);
    let (table, reads) = (random(outputs * inputs, 23), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&reads);
    let read = move |first: usize, into: &mut [f32]| {
        counter.fetch_add(1, Ordering::Relaxed);
        into.copy_from_slice(&table[first * inputs..][..into.len()]);
        Ok(())
    };
    let stored =
        backend.stored_rows(outputs, inputs, Box::new(read)).expect("f32 kernels leave large tables in the file");
    let workspace = &mut Workspace::new(1);
    let mut reads_of = |rows: usize, searches: usize| -> Result<usize> {
        let before = reads.load(Ordering::Relaxed);
        let x = backend.rows(&random(rows * inputs, 24), inputs)?;
        for _ in 0..searches {
            let (mut best, mut sums) = (Vec::new(), Vec::new());
            backend.top_k(workspace, &x, &stored, None, 1, &[], LogSumExp::None, &mut best, &mut sums)?;
        }
        Ok(reads.load(Ordering::Relaxed) - before)
    };
    // Large searches end a series of small ones.
    for _ in 0..3 {
        assert!(reads_of(1, 100)? >= 100 && reads_of(8, 1)? >= 8);
    }
    reads_of(1, 129)?;
    assert_eq!((reads_of(1, 10)?, reads_of(8, 10)?), (0, 0));
    Ok(())
}

#[test]
fn a_table_whose_rows_cannot_be_read_is_an_error_every_time() -> Result<()> {
    let backend = Kernels::new(Precision::F32)?;
    let fails = |_: usize, _: &mut [f32]| Err(Error::Usage("gone".to_owned()));
    let stored = backend.stored_rows(3000, 4, Box::new(fails)).expect("f32 kernels leave large tables in the file");
    let (workspace, x) = (&mut Workspace::new(1), backend.rows(&[1.0; 4], 4)?);
    let (mut best, mut sums, mut out) = (Vec::new(), Vec::new(), <Kernels as Backend>::Rows::default());
    for normalise in [LogSumExp::None, LogSumExp::All, LogSumExp::None] {
        assert!(backend.top_k(workspace, &x, &stored, None, 1, &[], normalise, &mut best, &mut sums).is_err());
    }
    assert!(backend.embed(&stored, 1.0, &[1], &mut |_, _| {}, &mut out).is_err());
    Ok(())
}

#[test]
fn only_large_tables_in_f32_are_left_in_the_file() -> Result<()> {
    let read = || Box::new(|_: usize, _: &mut [f32]| Ok(()));
    assert!(Kernels::new(Precision::F32)?.stored_rows(100, 4, read()).is_none());
    assert!(Kernels::new(Precision::Int8)?.stored_rows(3000, 4, read()).is_none());
    Ok(())
}
