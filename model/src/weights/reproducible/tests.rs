use super::WeightsPart::{Camera, Gaze, Model, Video};
use super::hash::{fnv1a64, splitmix64};
use super::*;

/// Seed, part, name, shape, first four values and sum (in `f64`) of the rule's published self-check; `video_side` is 8.
type SelfCheck = (u64, WeightsPart, &'static str, &'static [usize], [f64; 4], f64);

#[rustfmt::skip]
#[expect(clippy::unreadable_literal, reason = "the numbers stand as they are published")]
const SELF_CHECKS: [SelfCheck; 28] = [
    (0, Model, "mask_token", &[1, 1, 96], [0.07717709243297577, 0.16803602874279022, 0.17598500847816467, 0.03187227249145508], 0.9307634074939415),
    (0, Model, "encoder.0.attn.qkv.weight", &[288, 96], [-0.2763310968875885, 0.21913288533687592, 0.3053801357746124, -0.15706482529640198], -23.115038666468536),
    (0, Model, "encoder.0.norm1.weight", &[96], [1.0353041887283325, 0.832121729850769, 1.0389626026153564, 0.911221981048584], 96.45312303304672),
    (0, Model, "decoder_embeddings.tok_cam.to_logits.weight", &[256, 96], [-0.313493013381958, 0.19119878113269806, 0.1262054294347763, -0.19930487871170044], -57.017676997871604),
    (0, Model, "decoder_embeddings.tok_rgb.mod_emb", &[1, 1, 96], [-0.11526835709810257, 0.012269848957657814, -0.6475529670715332, -0.47276997566223145], -46.47430928284302),
    (0, Model, "encoder_embeddings.tok_cam.pos_emb", &[1, 30, 96], [0.0, 0.0, 0.0, 0.0], 1204.3832716464021),
    (0, Model, "encoder_embeddings.tok_rgb.pos_emb", &[1, 320, 96], [0.0, 1.0, 0.0, 1.0], 14968.063291927567),
    (0, Model, "decoder_proj_context.bias", &[768], [0.03716368228197098, 0.04409182071685791, -0.024241287261247635, 0.030335217714309692], -0.17365899548894959),
    (0, Model, "encoder.11.mlp.fc2.weight", &[768, 2048], [0.015771949663758278, 0.038358815014362335, -0.016589531674981117, -0.03722309321165085], 84.41884776214658),
    (0, Gaze, "encoder.conv.weight", &[768, 2, 2], [4.276559352874756, 2.6210830211639404, -2.005664587020874, -3.757244348526001], 203.56898740145698),
    (0, Camera, "quantize._codebook.embed", &[256, 32], [0.1481418013572693, -0.005317552946507931, 0.26280051469802856, -0.11982129514217377], 45.75780174307147),
    (0, Camera, "decoder.out_proj.bias", &[18], [0.003151071025058627, 0.0386815182864666, 0.04668451100587845, 0.03226412460207939], 0.13811410253401846),
    (0, Video, "encoder.conv_in.0.conv3d.weight", &[128, 192, 1, 3, 3], [0.004172778222709894, -0.0018324867123737931, 0.027289943769574165, -0.016568614169955254], -13.909640417031866),
    (0, Video, "decoder.norm_out.norm.weight", &[256], [0.8209415674209595, 0.9270282983779907, 1.10520601272583, 0.9436350464820862], 255.9363670349121),
    (7, Model, "mask_token", &[1, 1, 96], [-0.05934925004839897, -0.18348363041877747, -0.06374237686395645, 0.12858811020851135], 0.21668862004298717),
    (7, Model, "encoder.0.attn.qkv.weight", &[288, 96], [-0.25651368498802185, 0.2777896821498871, -0.1330113261938095, -0.0022022149059921503], 34.51299026611014),
    (7, Model, "encoder.0.norm1.weight", &[96], [1.087440848350525, 0.9089928865432739, 0.8547294735908508, 1.0249911546707153], 97.99948632717133),
    (7, Model, "decoder_embeddings.tok_cam.to_logits.weight", &[256, 96], [0.48212987184524536, 0.16913363337516785, -0.45894113183021545, -0.34324613213539124], -41.31735569556622),
    (7, Model, "decoder_embeddings.tok_rgb.mod_emb", &[1, 1, 96], [-0.027845988050103188, 0.24961945414543152, -0.44739973545074463, -0.41091638803482056], -45.82942156493664),
    (7, Model, "encoder_embeddings.tok_cam.pos_emb", &[1, 30, 96], [0.0, 0.0, 0.0, 0.0], 1204.3832716464021),
    (7, Model, "encoder_embeddings.tok_rgb.pos_emb", &[1, 320, 96], [0.0, 1.0, 0.0, 1.0], 14968.063291927567),
    (7, Model, "decoder_proj_context.bias", &[768], [0.0028601884841918945, -0.005787688307464123, -0.01889631152153015, 0.022628551349043846], 0.6163314155928674),
    (7, Model, "encoder.11.mlp.fc2.weight", &[768, 2048], [-0.04606654867529869, 0.013467852026224136, 0.020189622417092323, 0.021983392536640167], -66.25398261770725),
    (7, Gaze, "encoder.conv.weight", &[768, 2, 2], [-2.6982338428497314, 0.9871834516525269, 3.148324966430664, -1.5651108026504517], 143.2636632755166),
    (7, Camera, "quantize._codebook.embed", &[256, 32], [0.22274190187454224, 0.13859941065311432, -0.10589977353811264, 0.1883752942085266], 11.488749917923997),
    (7, Camera, "decoder.out_proj.bias", &[18], [-0.04882435128092766, -0.041474562138319016, 0.029747629538178444, 0.040868449956178665], -0.04145516036078334),
    (7, Video, "encoder.conv_in.0.conv3d.weight", &[128, 192, 1, 3, 3], [0.02957523986697197, 0.021654389798641205, -0.04619520157575607, -0.0006520256283693016], -12.568535055821513),
    (7, Video, "decoder.norm_out.norm.weight", &[256], [1.12313973903656, 1.0709071159362793, 0.9061336517333984, 0.815312922000885], 252.81230115890503),
];

#[test]
fn hash_and_generator_match_the_published_values() {
    assert_eq!(splitmix64(0), 0xE220_A839_7B1D_CDAF);
    assert_eq!(fnv1a64("0:egom2p/mask_token"), 0xF250_8A48_BBE6_6234);
    assert_eq!(fnv1a64("7:video/decoder.norm_out.norm.weight"), 0x7DF6_0576_53C6_962D);
}

#[test]
fn values_match_the_published_self_check() {
    for (seed, part, name, shape, first, sum) in SELF_CHECKS {
        let values = ReproducibleTensor::new(seed, part, name, shape, 8).expect("a published name").values();
        assert_eq!(values.len(), shape.iter().product::<usize>());
        for (value, expected) in values.iter().zip(first) {
            let expected = expected as f32;
            let steps = value.to_bits().abs_diff(expected.to_bits());
            assert!(steps <= 1, "{part} {name}, seed {seed}: {value} is {steps} steps from {expected}");
        }
        // The order of summation leaves an error in the last places of the largest partial sum.
        let got: f64 = values.iter().map(|&value| f64::from(value)).sum();
        let magnitude: f64 = values.iter().map(|&value| f64::from(value.abs())).sum();
        assert!((got - sum).abs() <= 1e-12 * magnitude, "{part} {name}, seed {seed}: sum {got}, expected {sum}");
    }
}

#[test]
fn every_range_has_the_values_of_the_whole() {
    for (part, name, shape) in [
        (Model, "encoder.0.attn.qkv.weight", vec![288, 96]),
        (Camera, "quantize._codebook.embed", vec![256, 32]),
        (Model, "encoder_embeddings.tok_depth.pos_emb", vec![1, 320, 96]),
    ] {
        let tensor = ReproducibleTensor::new(3, part, name, &shape, 8).expect("a published name");
        let whole = tensor.values();
        let mut range = vec![0.0; 1001];
        tensor.fill(517, &mut range);
        assert_eq!(range, whole[517..1518]);
    }
}

#[test]
fn aliases_have_the_values_of_their_canonical_name() {
    let values = |name: &str, shape: &[usize]| {
        ReproducibleTensor::new(0, Model, name, shape, 8).expect("a published name").values()
    };
    let pairs = [
        ("decoder_embeddings.tok_rgb.mod_emb", "encoder_embeddings.tok_rgb.mod_emb", vec![1, 1, 96]),
        ("decoder_embeddings.tok_gaze.to_logits.weight", "decoder_embeddings.tok_gaze.token_emb.weight", vec![256, 96]),
    ];
    for (alias, canonical, shape) in pairs {
        assert_eq!(values(alias, &shape), values(canonical, &shape));
    }
}

#[test]
fn rules_match_names_as_the_published_patterns_do() {
    let rule = |part, name| Rule::of(part, name).expect("a rule");
    assert_eq!(rule(Model, "encoder.3.norm1.weight"), Rule::Uniform { offset: 1.0, scale: 0.2 });
    assert_eq!(rule(Model, "decoder_norm.bias"), Rule::Zeros);
    assert_eq!(rule(Model, "decoder.0.cross_attn.kv.weight"), Rule::Matrix { gain: 2.0 });
    assert_eq!(rule(Model, "decoder.0.cross_attn.proj.weight"), Rule::Matrix { gain: 1.3 });
    assert_eq!(rule(Model, "encoder_embeddings.tok_depth.pos_emb"), Rule::Sincos3d);
    assert_eq!(rule(Gaze, "encoder.norm_mlp.bias"), Rule::Uniform { offset: 0.0, scale: 0.05 });
    assert_eq!(rule(Gaze, "encoder.norm_mlp.weight"), Rule::Uniform { offset: 1.0, scale: 0.2 });
    assert_eq!(rule(Camera, "post_quant_proj.bias"), Rule::MinusMeanPosition { scale: 0.05 });
    assert_eq!(rule(Camera, "decoder.blocks.0.attn.qkv.weight"), Rule::Matrix { gain: 2.0 });
    assert_eq!(rule(Video, "decoder.conv_out.1.conv3d.weight"), Rule::Matrix { gain: 0.07 });
    assert_eq!(rule(Video, "encoder.mid.attn_1.0.norm.norm.bias"), Rule::Uniform { offset: 0.0, scale: 0.05 });
    assert_eq!(Rule::of(Model, "encoder.0.something"), None);
}

#[test]
fn impossible_shapes_are_refused() {
    let refused =
        |name: &str, shape: &[usize]| ReproducibleTensor::new(0, Model, name, shape, 8).expect_err("an error");
    for (name, shape) in [
        ("encoder_embeddings.tok_rgb.pos_emb", vec![1, 321, 96]),
        ("encoder_embeddings.tok_rgb.pos_emb", vec![320, 96]),
        ("encoder_embeddings.tok_cam.pos_emb", vec![1, 30, 95]),
        ("encoder_embeddings.tok_cam.mod_emb", vec![2, 1, 96]),
        ("encoder.0.mlp.fc1.weight", vec![usize::MAX, 2]),
    ] {
        assert!(matches!(refused(name, &shape), ReproducibleError::Shape { .. }), "{name} {shape:?}");
    }
    let error = refused("nonsense", &[1]);
    assert_eq!(error.to_string(), "no reproducible-weights rule for egom2p/nonsense\nuse a published tensor name");
}
