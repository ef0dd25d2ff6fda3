//! From nothing to a post-trained model.

use crate::bench::Bench;
use serde_json::Value;
use std::collections::BTreeMap;

/// The lines of a training's metrics.
fn metrics(bench: &Bench, folder: &str) -> Vec<BTreeMap<String, Value>> {
    let text = String::from_utf8(bench.read(&format!("{folder}/metrics.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn losses(bench: &Bench, folder: &str, name: &str) -> Vec<f64> {
    metrics(bench, folder).iter().filter_map(|line| line.get(name)?.as_f64()).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn clips_become_tokenizers_tokens_and_a_model() {
    let mut bench = Bench::with_clips().with_settings(60);
    for name in ["gaze", "camera", "video"] {
        bench.succeed(&format!("tokenizer {name} --data clips --config config.json --settings {name}.json --out {name} --checkpoint-every 8"));
        let losses = losses(&bench, name, "loss");
        let (first, last) = losses.split_at(losses.len() / 2);
        assert!(mean(last) < mean(first), "{name}: {losses:?}");
        assert!(!self::losses(&bench, name, "validation/loss").is_empty());
        assert!(bench.read(&format!("{name}/loss.png")).starts_with(b"\x89PNG"));
    }
    let tokenizers = ["gaze", "camera", "video"].map(|folder| bench.newest(folder)).join(" ");
    let tokenize = format!("tokenize --data clips --tokenizers {tokenizers} --out tokens --shard-samples 4");
    bench.note(&tokenize);
    let shards = bench.files();
    // What is there already is kept, byte for byte.
    assert_eq!(bench.succeed(&tokenize).lines().count(), 12);
    assert_eq!(bench.files(), shards);

    let data = "tokens/train/[rgb,depth,cam,gaze]/rooms/token/shard-{000000..000001}.tar tokens/train/[rgb,cam,gaze]/tasks/token/shard-{000000..000001}.tar";
    let held_out = "tokens/val/[rgb,depth,cam,gaze]/rooms/*.npz";
    bench.succeed(&format!("pretrain --data {data} --validation {held_out} --config config.json --settings main.json --out model --checkpoint-every 20"));
    let pretrained = losses(&bench, "model", "loss");
    assert_eq!(pretrained.len(), 60);
    assert!(mean(&pretrained[50..]) < mean(&pretrained[..10]), "{pretrained:?}");
    assert_eq!(losses(&bench, "model", "validation/loss").len(), 3);
    let weights = bench.newest("model");
    assert_eq!(weights, "model/checkpoints/step-00000060");
    bench.succeed(&format!(
        "posttrain --weights {weights} --data {data} --settings main.json --out posttrained --steps 5"
    ));
    assert!(losses(&bench, "posttrained", "loss")[0] < mean(&pretrained[..10]));
    insta::assert_snapshot!(bench.transcript());
}

/// What is printed as the next command is what one types next.
#[test]
fn printed_commands_can_be_pasted() {
    let bench = Bench::new().with_settings(10);
    let next = |stderr: &str| -> Vec<String> {
        stderr.lines().filter_map(|line| line.strip_prefix("  egom2p-train ").map(str::to_owned)).collect()
    };
    let run = |command: &str, more: &str| {
        let output = bench.shell(&format!("egom2p-train {command}{more}")).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{command}: {stderr}");
        stderr
    };
    // A name that a shell would take apart.
    let stderr = run("synth --config config.json --clips 16 --out 'the clips'", "");
    let tokenizers = next(&stderr);
    assert_eq!(tokenizers.len(), 3, "{stderr}");
    let mut tokenize = String::new();
    let mut others = Vec::new();
    for (command, name) in tokenizers.iter().zip(["gaze", "camera", "video"]) {
        let stderr = run(command, &format!(" --settings {name}.json"));
        let [command] = &next(&stderr)[..] else { panic!("{stderr}") };
        others.extend(command.split_whitespace().last().map(str::to_owned));
        tokenize.clone_from(command);
    }
    let stderr = run(&tokenize, &format!(" {} {}", others[0], others[1]));
    let [pretrain] = &next(&stderr)[..] else { panic!("{stderr}") };
    let stderr = run(pretrain, " --settings main.json");
    assert!(stderr.contains("egom2p export model/checkpoints/step-00000010 --out onnx"), "{stderr}");
    let tasks = ["camera", "depth", "gaze"].map(|task| losses(&bench, "model", &format!("validation/{task}")).len());
    assert_eq!(tasks, [1, 1, 1]);
}
