//! How families number the pieces of their SentencePiece models, and the tokens they add.
//!
//! Facts of Hugging Face transformers 4.57 (tokenization_{t5,mbart,mbart50,nllb,m2m_100,pegasus}.py).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::sentencepiece::SentencePiece;
use super::{SentencePieceVocabulary, VocabularyTable, check_density};
use crate::checkpoint::ModelFiles;
use crate::{Error, Result};

/// How the pieces of a SentencePiece model are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// As the model numbers them; `<extra_id_0>` is the last of the tokens added after them (T5).
    Own,
    /// `<s>`, `<pad>`, `</s>`, `<unk>`, then the model's pieces from its fourth on, languages and `<mask>` (mBART).
    MBart,
    /// The same with other languages (NLLB).
    Nllb,
    /// `<pad>`, `</s>`, reserved tokens, then the model's pieces from its third on (Pegasus).
    Reserved,
    /// By `vocab.json`, languages after it (M2M100).
    Table,
}

/// The languages of mBART-25 in the order of their ids; mBART-50 has those of `MBART_50` too.
const MBART_25: &str = "ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT lv_LV my_MM ne_NP \
    nl_XX ro_RO ru_RU si_LK tr_TR vi_VN zh_CN";
const MBART_50: &str = "af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN mr_IN pl_PL ps_AF pt_XX sv_SE sw_KE \
    ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI";
/// Those of M2M100, and of its sibling for WMT 2021.
const M2M100: &str = "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr ht \
    hu hy id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns oc or pa pl ps \
    pt ro ru sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu";
const WMT21: &str = "en ha is ja cs ru zh de";
/// Those of NLLB-200.
const NLLB_200: &str = "ace_Arab ace_Latn acm_Arab acq_Arab aeb_Arab afr_Latn ajp_Arab aka_Latn amh_Ethi apc_Arab arb_Arab ars_Arab \
    ary_Arab arz_Arab asm_Beng ast_Latn awa_Deva ayr_Latn azb_Arab azj_Latn bak_Cyrl bam_Latn ban_Latn bel_Cyrl \
    bem_Latn ben_Beng bho_Deva bjn_Arab bjn_Latn bod_Tibt bos_Latn bug_Latn bul_Cyrl cat_Latn ceb_Latn ces_Latn \
    cjk_Latn ckb_Arab crh_Latn cym_Latn dan_Latn deu_Latn dik_Latn dyu_Latn dzo_Tibt ell_Grek eng_Latn epo_Latn \
    est_Latn eus_Latn ewe_Latn fao_Latn pes_Arab fij_Latn fin_Latn fon_Latn fra_Latn fur_Latn fuv_Latn gla_Latn \
    gle_Latn glg_Latn grn_Latn guj_Gujr hat_Latn hau_Latn heb_Hebr hin_Deva hne_Deva hrv_Latn hun_Latn hye_Armn \
    ibo_Latn ilo_Latn ind_Latn isl_Latn ita_Latn jav_Latn jpn_Jpan kab_Latn kac_Latn kam_Latn kan_Knda kas_Arab \
    kas_Deva kat_Geor knc_Arab knc_Latn kaz_Cyrl kbp_Latn kea_Latn khm_Khmr kik_Latn kin_Latn kir_Cyrl kmb_Latn \
    kon_Latn kor_Hang kmr_Latn lao_Laoo lvs_Latn lij_Latn lim_Latn lin_Latn lit_Latn lmo_Latn ltg_Latn ltz_Latn \
    lua_Latn lug_Latn luo_Latn lus_Latn mag_Deva mai_Deva mal_Mlym mar_Deva min_Latn mkd_Cyrl plt_Latn mlt_Latn \
    mni_Beng khk_Cyrl mos_Latn mri_Latn zsm_Latn mya_Mymr nld_Latn nno_Latn nob_Latn npi_Deva nso_Latn nus_Latn \
    nya_Latn oci_Latn gaz_Latn ory_Orya pag_Latn pan_Guru pap_Latn pol_Latn por_Latn prs_Arab pbt_Arab quy_Latn \
    ron_Latn run_Latn rus_Cyrl sag_Latn san_Deva sat_Beng scn_Latn shn_Mymr sin_Sinh slk_Latn slv_Latn smo_Latn \
    sna_Latn snd_Arab som_Latn sot_Latn spa_Latn als_Latn srd_Latn srp_Cyrl ssw_Latn sun_Latn swe_Latn swh_Latn \
    szl_Latn tam_Taml tat_Cyrl tel_Telu tgk_Cyrl tgl_Latn tha_Thai tir_Ethi taq_Latn taq_Tfng tpi_Latn tsn_Latn \
    tso_Latn tuk_Latn tum_Latn tur_Latn twi_Latn tzm_Tfng uig_Arab ukr_Cyrl umb_Latn urd_Arab uzn_Latn vec_Latn \
    vie_Latn war_Latn wol_Latn xho_Latn ydd_Hebr yor_Latn yue_Hant zho_Hans zho_Hant zul_Latn";

/// What `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` say of a tokenizer.
#[derive(Debug, Default)]
pub(super) struct TokenizerConfig {
    config: Value,
    specials: Value,
    added: Value,
}

impl TokenizerConfig {
    /// Reads the files that are there.
    ///
    /// # Errors
    /// If one is no JSON.
    pub(super) fn read(files: &ModelFiles) -> Result<Self> {
        let read = |name| match files.read(name)? {
            None => Ok(Value::Null),
            Some(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| Error::model(files.path(name), format!("not valid JSON: {error}; fix or remove it"))),
        };
        let (config, specials) = (read("tokenizer_config.json")?, read("special_tokens_map.json")?);
        Ok(Self { config, specials, added: read("added_tokens.json")? })
    }

    /// A string of `tokenizer_config.json`.
    pub(super) fn string(&self, key: &str) -> Option<&str> {
        self.config[key].as_str()
    }

    /// The one pair of languages it says it is for: `source_lang` and `target_lang` (Marian), or `langs` (FSMT).
    pub(super) fn pair(&self) -> Option<(String, String)> {
        let string = |value: &Value| value.as_str().map(str::to_owned);
        let marian = string(&self.config["source_lang"]).zip(string(&self.config["target_lang"]));
        marian.or_else(|| string(&self.config["langs"][0]).zip(string(&self.config["langs"][1])))
    }

    /// Whether a flag of `tokenizer_config.json` is set.
    pub(super) fn flag(&self, key: &str) -> bool {
        self.config[key] == true
    }

    /// A number of `tokenizer_config.json`.
    pub(super) fn number(&self, key: &str) -> Option<u32> {
        self.config[key].as_u64().and_then(|number| u32::try_from(number).ok())
    }

    /// Every token that has an id of its own, and whether it is special, that is, no text.
    fn numbered(&self) -> Vec<(u32, &str, bool)> {
        let mut tokens = Vec::new();
        for (id, token) in self.config["added_tokens_decoder"].as_object().into_iter().flatten() {
            if let (Ok(id), Some(content)) = (id.parse(), token["content"].as_str()) {
                tokens.push((id, content, token["special"] != false));
            }
        }
        let further = self.further();
        for (token, id) in self.added.as_object().into_iter().flatten() {
            if let Some(id) = id.as_u64().and_then(|id| u32::try_from(id).ok()) {
                tokens.push((id, token, further.contains(&token.as_str())));
            }
        }
        tokens
    }

    /// The special tokens besides the usual ones, in the order in which they are numbered.
    fn further(&self) -> Vec<&str> {
        let lists = [
            &self.config["additional_special_tokens"],
            &self.config["extra_special_tokens"],
            &self.specials["additional_special_tokens"],
            &self.specials["extra_special_tokens"],
        ];
        let list = lists.into_iter().filter_map(Value::as_array).find(|list| !list.is_empty());
        // Either the token itself or an object around it.
        let token = |token| -> Option<&str> { Value::as_str(token).or_else(|| token["content"].as_str()) };
        list.into_iter().flatten().filter_map(token).collect()
    }
}

/// The vocabulary of a model whose pieces are numbered so. `table` is its `vocab.json`, for [`Numbering::Table`].
///
/// # Errors
/// If a token is to have an id far outside the vocabulary.
pub(super) fn vocabulary(
    model: SentencePiece,
    numbering: Numbering,
    table: Option<VocabularyTable>,
    config: &TokenizerConfig,
    files: &ModelFiles,
) -> Result<SentencePieceVocabulary> {
    let count = model.size() as u32;
    let piece = |id: u32| Some((id, model.piece(id)?.to_owned()));
    let named = |tokens: &[&str]| -> Vec<(u32, String)> {
        (0..).zip(tokens).map(|(id, token)| (id, (*token).to_owned())).collect()
    };
    let mut added = Vec::new();
    let mut table = match (numbering, table) {
        (Numbering::Own, _) => {
            let table = VocabularyTable::numbered((0..count).filter_map(piece), model.unknown().unwrap_or(0));
            let extra = config.number("extra_ids").unwrap_or(0).min(1000);
            added.extend((0..extra).map(|number| (count + extra - 1 - number, format!("<extra_id_{number}>"))));
            table
        }
        (Numbering::Reserved, _) => {
            let offset = config.number("offset").unwrap_or(103).min(1000);
            let mut first = named(&["<pad>", "</s>", "<mask_1>", "<mask_2>"]);
            first.truncate(if offset == 0 { 2 } else { 4 });
            first.extend((4..offset + 2).map(|id| (id, format!("<unk_{}>", id - 2))));
            added.extend(first.iter().skip(2).cloned());
            let pieces = (2..count).filter_map(piece).map(|(id, piece)| (id + offset, piece));
            VocabularyTable::numbered(first.into_iter().chain(pieces), model.unknown().unwrap_or(2) + offset)
        }
        (Numbering::Table, Some(table)) => {
            let languages = if config.string("language_codes") == Some("wmt21") { WMT21 } else { M2M100 };
            let codes = languages.split_ascii_whitespace().map(|code| format!("__{code}__"));
            added.extend((table.size() as u32..).zip(codes));
            table
        }
        (Numbering::MBart | Numbering::Nllb | Numbering::Table, _) => {
            let first = named(&["<s>", "<pad>", "</s>", "<unk>"]);
            let pieces = (3..count).filter_map(piece).map(|(id, piece)| (id + 1, piece));
            let class = config.string("tokenizer_class").unwrap_or_default();
            let languages = match (numbering, config.further()) {
                (Numbering::MBart, _) if class.starts_with("MBart50") => [MBART_25, MBART_50].join(" "),
                (Numbering::MBart, _) => MBART_25.to_owned(),
                (_, own) if own.len() > 1 => own.join(" "),
                _ => NLLB_200.to_owned(),
            };
            let tokens = languages.split_ascii_whitespace().filter(|&token| token != "<mask>").chain(["<mask>"]);
            added.extend((count + 1..).zip(tokens.map(str::to_owned)));
            VocabularyTable::numbered(first.into_iter().chain(pieces), 3)
        }
    };
    // What a file numbers itself has the last word, so it comes first.
    let mut hidden = BTreeSet::new();
    for (id, token, is_special) in config.numbered() {
        check_density(id, table.size()).map_err(|problem| {
            Error::model(files.path("tokenizer_config.json"), format!("`{token}` cannot be added: {problem}"))
        })?;
        if table.add(token, id) && is_special {
            hidden.insert(id);
        }
    }
    hidden.extend(added.into_iter().filter(|(id, token)| table.add(token, *id)).map(|(id, _)| id));
    Ok(SentencePieceVocabulary::new(Arc::new(model), Arc::new(table)).with_added_tokens(hidden))
}
