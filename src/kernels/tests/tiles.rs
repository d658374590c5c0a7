//! What is around the tiles, on any machine: blocks, edges, digits, epilogues.

use super::super::{Activation, PackedMatrix, Precision, plain};
use super::random;

#[test]
fn plain_tiles_give_the_product_of_every_shape() {
    // The last panel is not whole, and a strip of rows not either.
    for (outputs, inputs) in [(32, 64), (61, 128), (96, 192)] {
        let (weight, bias) = (random(outputs * inputs, 90), random(outputs, 91));
        for rows in [1, 8, 15, 16, 17, 31, 32, 33, 48, 70] {
            let x = random(rows * inputs, 92);
            for (precision, expected) in [
                (Precision::Int8, plain::multiply_int8(&x, &weight, inputs, Some(&bias))),
                (Precision::Int16, plain::multiply_int16(&x, &weight, inputs, Some(&bias))),
            ] {
                let matrix = PackedMatrix::pack(&weight, outputs, inputs, precision);
                for activation in [Activation::Identity, Activation::Relu, Activation::Swish] {
                    let mut expected = expected.clone();
                    activation.apply(&mut expected);
                    let out = matrix.multiply_in_plain_tiles(&x, &bias, activation);
                    assert_eq!(out, expected, "{precision:?}, {activation:?}: {rows} rows, {outputs} x {inputs}");
                }
            }
        }
    }
}

#[test]
fn more_rows_than_one_block_are_multiplied_in_blocks() {
    let (outputs, inputs, rows) = (32, 4096, 150);
    let (weight, x, bias) = (random(outputs * inputs, 93), random(rows * inputs, 94), vec![0.0; outputs]);
    let matrix = PackedMatrix::pack(&weight, outputs, inputs, Precision::Int8);
    let expected = plain::multiply_int8(&x, &weight, inputs, Some(&bias));
    assert_eq!(matrix.multiply_in_plain_tiles(&x, &bias, Activation::Identity), expected);
}
