//! What a search is told.

use std::sync::Arc;

use crate::layouts::EarlyStopping;
use crate::model::Record;
use crate::text::Shortlist;

/// The beam of a sentence with constraints where there is none.
pub const GREEDY_BEAM: usize = 4;

/// Random choice of the next token instead of the best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Choose among this many best tokens; 0 for all.
    pub top_k: usize,
    /// Choose among the smallest set of best tokens whose probabilities reach this sum; 1 for all.
    pub top_p: f32,
    /// Logits are divided by this before the softmax.
    pub temperature: f32,
    /// Seeds the random numbers; the same seed and source give the same translation, in any batch.
    pub seed: u64,
}

/// Penalty for source tokens left without attention (Wu et al. 2016, section 7):
/// `β · Σ_j log(min(Σ_t α_tj, 1))`, added once when a hypothesis is finished.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoveragePenalty {
    /// β.
    pub weight: f32,
}

/// Everything a search is told besides the model and the sentences.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SearchOptions {
    /// Hypotheses kept at each step; 1 is greedy search.
    pub beam_size: usize,
    /// How many finished hypotheses to return, at most `beam_size` (or independent samples).
    pub n_best: usize,
    /// Exponent of the length a finished log-probability is divided by; sentence end counted.
    pub length_penalty: f32,
    /// When a beam may stop.
    pub early_stopping: EarlyStopping,
    /// A beam stops once this many times its width have finished, whatever `early_stopping` says (Kasai et al. 2022).
    pub patience: Option<f32>,
    /// Groups that a beam is divided into evenly, each of which avoids the tokens of those before it (Vijayakumar et al. 2018); 1
    /// is an ordinary beam.
    pub beam_groups: usize,
    /// What a token costs a group for each hypothesis of another group that has it in the same step.
    pub diversity: f32,
    /// At most this many generated tokens, sentence end included.
    pub max_length: usize,
    /// At most `ratio · source tokens + 10` generated tokens, if given.
    pub max_length_ratio: Option<f32>,
    /// At least this many generated tokens, sentence end included.
    pub min_length: usize,
    /// The token generation starts from.
    pub start_token: u32,
    /// The token that ends a sentence.
    pub end_token: u32,
    /// Whether the last token within the length limit is forced to be the sentence end at no cost
    /// (`forced_eos_token_id`); otherwise a sentence at its limit ends as it is.
    pub force_end: bool,
    /// The token every translation without a prefix begins with, at no cost (`forced_bos_token_id`).
    pub force_begin: Option<u32>,
    /// Tokens never generated, sorted (padding, suppressed words).
    pub banned: Vec<u32>,
    /// Sequences of two or more tokens never generated in a row (`bad_words_ids`).
    pub banned_sequences: Vec<Vec<u32>>,
    /// Whether probabilities are normalised again without the banned tokens (`renormalize_logits`).
    pub renormalise: bool,
    /// No sequence of this many tokens occurs twice in a hypothesis; 0 is off.
    pub no_repeat_ngram: usize,
    /// Tokens that are not the first to be generated (`begin_suppress_tokens`).
    pub banned_at_begin: Vec<u32>,
    /// No sequence of this many source tokens is generated (`encoder_no_repeat_ngram_size`); 0 is off.
    pub encoder_no_repeat_ngram: usize,
    /// Beyond so many generated tokens the score s of the sentence end becomes s + |s| (f^n − 1), f being the factor given and
    /// n the tokens beyond (`exponential_decay_length_penalty`).
    pub exponential_decay: Option<(usize, f32)>,
    /// Divides the score of tokens already generated (Keskar et al. 2019); 1 is off.
    pub repetition_penalty: f32,
    /// Coverage penalty, if any.
    pub coverage_penalty: Option<CoveragePenalty>,
    /// Whether greedy search computes log-probabilities; without them it is faster and scores are raw sums of logits.
    pub scores: bool,
    /// Which target tokens a sentence may have at all, by its source tokens.
    pub shortlist: Option<Arc<Shortlist>>,
    /// Random choice, if any.
    pub sampling: Option<Sampling>,
    /// So many sentences are under way at once at most. Those beyond begin as others end, if the model can do that, and else when
    /// all have; on the CPU kernels it changes no result.
    pub most_sentences: usize,
    /// And no more source tokens, unless it is one sentence.
    pub most_tokens: usize,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            beam_size: 1,
            n_best: 1,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::default(),
            patience: None,
            beam_groups: 1,
            diversity: 0.0,
            max_length: 256,
            max_length_ratio: None,
            min_length: 0,
            start_token: 0,
            end_token: 0,
            force_end: false,
            force_begin: None,
            banned: Vec::new(),
            banned_sequences: Vec::new(),
            renormalise: false,
            no_repeat_ngram: 0,
            banned_at_begin: Vec::new(),
            encoder_no_repeat_ngram: 0,
            exponential_decay: None,
            repetition_penalty: 1.0,
            coverage_penalty: None,
            scores: true,
            shortlist: None,
            sampling: None,
            most_sentences: usize::MAX,
            most_tokens: usize::MAX,
        }
    }
}

impl SearchOptions {
    /// How the translation of a sentence begins.
    pub(super) fn beginning(&self, source: &super::Source) -> super::Beginning {
        source.beginning.unwrap_or(super::Beginning { start: self.start_token, first: self.force_begin })
    }

    /// Whether the attention of a sentence is kept while it is under way, if any is: for whoever asked, or for its coverage.
    pub(super) fn keeps_attention(&self, source: &super::Source) -> bool {
        !source.unrecorded || self.coverage_penalty.is_some()
    }

    /// The most tokens a sentence may generate, sentence end included; from the sentence alone, never from its batch.
    pub fn limit(&self, source: &super::Source) -> usize {
        let ratio = self
            .max_length_ratio
            .map_or(usize::MAX, |ratio| ((ratio * source.ids.len() as f32) as usize).saturating_add(10));
        self.max_length.min(ratio).min(source.max_length.unwrap_or(usize::MAX)).max(1)
    }

    /// The same for sentences with constraints: there is a beam, in one group, and finished hypotheses do not narrow it.
    pub(super) fn constrained(&self) -> Self {
        let mut options = self.clone();
        options.beam_groups = 1;
        if options.beam_size <= 1 {
            options.beam_size = GREEDY_BEAM;
        }
        if options.early_stopping == EarlyStopping::Shrink {
            options.early_stopping = EarlyStopping::WhenFull;
        }
        options
    }

    /// How many groups the beam has.
    pub(super) fn groups(&self) -> usize {
        self.beam_groups.clamp(1, self.beam_size.max(1))
    }

    /// When a beam stops, patience considered.
    pub(super) fn stopping(&self) -> EarlyStopping {
        if self.patience.is_some() { EarlyStopping::WhenFull } else { self.early_stopping }
    }

    /// How many finished hypotheses a beam, or a group of one, keeps.
    pub(super) fn capacity(&self) -> usize {
        let width = self.beam_size / self.groups();
        self.patience.map_or(width, |patience| ((patience * width as f32).ceil() as usize).max(1))
    }

    /// What has to be recorded for `wanted` and the coverage penalty.
    pub(super) fn record(&self, wanted: Record) -> Record {
        Record { cross: wanted.cross || self.coverage_penalty.is_some(), ..wanted }
    }

    /// Whether what may not come next depends on how long the translation is.
    pub(super) fn bans_depend_on_length(&self) -> bool {
        self.min_length > 0 || !self.banned_at_begin.is_empty()
    }

    /// Whether any rule changes single scores, so that whole rows of logits are needed.
    pub(super) fn needs_logits(&self) -> bool {
        self.no_repeat_ngram > 0
            || self.repetition_penalty != 1.0
            || self.encoder_no_repeat_ngram > 0
            || self.exponential_decay.is_some()
            || self.sampling.is_some()
            || !self.banned_sequences.is_empty()
            || self.shortlist.is_some()
    }
}
