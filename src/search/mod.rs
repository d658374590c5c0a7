//! Greedy, beam and sampled search over [`crate::model::Seq2Seq`].
