"""Writes golden.tfevents beside this file: four events as TensorBoard's own writer frames them.

python3 -m venv tensorboard && tensorboard/bin/pip install tensorboard==2.21.0
tensorboard/bin/python golden.py
"""

from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

EVENTS = [
    Event(wall_time=1.7e9, file_version="brain.Event:2"),
    Event(wall_time=1.7e9 + 0.25, step=13, session_log=SessionLog(status=SessionLog.START)),
    Event(
        wall_time=1.7e9 + 0.5,
        step=300,
        summary=Summary(
            value=[
                Summary.Value(tag="learning_rate", simple_value=0.0),
                Summary.Value(tag="loss", simple_value=2.5625),
                Summary.Value(tag="loss/rgb", simple_value=float("inf")),
            ]
        ),
    ),
    Event(wall_time=1.7e9 + 1, step=2**40, summary=Summary(value=[Summary.Value(tag="ü", simple_value=-1e-30)])),
]

with open(Path(__file__).with_name("golden.tfevents"), "wb") as file:
    writer = RecordWriter(file)
    for event in EVENTS:
        writer.write(event.SerializeToString())
    writer.flush()
