//! Layers: weights with a forward pass over `f32` slices.
