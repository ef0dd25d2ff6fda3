"""The tables of `egom2p bench`, from its JSON."""


def to_text(report):
    sessions, ceilings = report["settings"]["sessions"], report["ceilings"]
    lines = [
        f"{report['bundle']['preset']}, {ceilings['backend']} {sessions['dtype']}, attention {sessions['attention']}, "
        f"TF32 {'on' if sessions['tf32'] else 'off'}, batch {report['settings']['batch']}, "
        f"torch {report['versions']['libraries']['torch']}, {report['device']}",
        f"ceilings of this machine: {ceilings['matrix_flops_per_sec'] / 1e9:.1f} GFLOP/s in products, "
        f"{ceilings['memory_bytes_per_sec'] / 1e9:.1f} GB/s from and to memory",
        "",
    ]
    rows = [["engine", "at", "median", "p95", "min", "runs", "tokens/s", "GFLOP", "of ceiling"]]
    for engine in report["engines"]:
        dims = " ".join(f"{name} {size}" for name, size in engine["dims"].items() if name in ("visible", "queries"))
        share = f"{engine['share_of_ceiling'] * 100:.0f} % ({engine['bound']})"
        rows.append([f"{engine['stage']}.{engine['variant']}", dims, *latency(engine), secs(engine["min_secs"]),
                     str(engine["runs"]), f"{engine['tokens_per_sec']:.0f}", f"{engine['flops'] / 1e9:.2f}", share])
    lines += aligned(rows) if len(rows) > 1 else []
    measured = {scope: clips for scope, clips in report["clips"].items() if "runs" in clips}
    if measured:
        targets = ", ".join(target["modality"] for target in report["settings"]["generation"]["targets"])
        names = {"predictions": "with tokenizers", "tokens": "tokens alone"}
        rows = [["clip", "median", "p95", "clips", "clips/s", "tokens/s"]]
        larger = [(filling["clips"], clips) for filling in report["fillings"] for clips in filling["measured"][1:]]
        for scope, clips in [*measured.items(), *larger]:
            name = f"rgb to {targets}, {names[scope]}" + (f", {clips['batch']} at a time" * (clips["batch"] > 1))
            rows.append([name, *latency(clips), str(clips["runs"] * clips["batch"]), f"{clips['clips_per_sec']:.3f}",
                         f"{clips['tokens_per_sec']:.0f}"])
        lines += ["", *aligned(rows), "", *parts(measured["predictions"])]
        lines += [f"clips to {filling['clips']}: a batch of {filling['batch']} fills the card; {filling['end']}"
                  for filling in report["fillings"]]
    memory = report["memory"]
    device = memory["device_peak_bytes"]
    lines += ["", f"peak memory: {gigabytes(memory['host_peak_bytes'])}; device memory: "
                  + (f"{gigabytes(device)}, {gigabytes(memory['device_allocated_peak_bytes'])} of it in tensors"
                     if device is not None else "none, these stages run on the processor")]
    return "\n".join(lines)


def parts(clips):
    n_runs = clips["runs"]
    total = sum(clips["mean_secs"][part] for part in ("tokenize", "generate", "detokenize"))
    rows = [(name, f"{engine['calls'] / n_runs:.0f}", engine["secs"] / n_runs)
            for name, engine in clips["engines"].items()]
    rows.append(("sampling", "", clips["mean_secs"]["sampling"]))
    rows.append(("everything else", "", max(total - sum(own for _, _, own in rows), 0.0)))
    rows.sort(key=lambda row: -row[2])
    table = [["part", "calls", "time", "share"]]
    table += [[name, calls, secs(own), f"{own / total * 100:.0f} %"] for name, calls, own in rows]
    return ["where the time of a batch to predictions goes, on average", *aligned(table)]


def latency(row):
    return secs(row["median_secs"]), secs(row["p95_secs"])


def secs(value):
    return f"{value * 1e3:.2f} ms" if value < 1 else f"{value:.2f} s"


def gigabytes(n_bytes):
    return "unknown" if n_bytes is None else f"{n_bytes / 1e9:.2f} GB"


def aligned(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
