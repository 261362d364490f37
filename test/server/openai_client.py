"""The official client for Python over the fine-tuning surface of a server: OPENAI_BASE_URL and OPENAI_API_KEY name it, the
first argument is a model of it. Prints what it found as JSON; ends with an error where the client does not understand an
answer, or an answer is not what the API says."""
import io
import json
import sys
import time

import openai

client = openai.OpenAI(max_retries=0)
model = sys.argv[1]
found = {}


def lines(records):
    return io.BytesIO("\n".join(json.dumps(record) for record in records).encode())


def wait(job, statuses):
    while job.status not in statuses:
        assert job.status not in ("succeeded", "failed", "cancelled"), job
        time.sleep(0.05)
        job = client.fine_tuning.jobs.retrieve(job.id)
    return job


def code_of(call):
    try:
        call()
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.code]
    return None


chats = [
    {"messages": [{"role": "user", "content": f"Say {word}"}, {"role": "assistant", "content": word}]}
    for word in ("one", "two", "three", "four")
]
file = client.files.create(file=("chats.jsonl", lines(chats)), purpose="fine-tune")
held_out = client.files.create(file=("held-out.jsonl", lines(chats[:2])), purpose="fine-tune")
assert client.files.retrieve(file.id) == file
assert {one.id for one in client.files.list()} == {file.id, held_out.id}
assert client.files.content(file.id).read() == lines(chats).getvalue()
assert model in [one.id for one in client.models.list()]
found["model"] = client.models.retrieve(model).object

job = client.fine_tuning.jobs.create(
    model=model,
    training_file=file.id,
    validation_file=held_out.id,
    suffix="python",
    seed=7,
    metadata={"from": "python"},
    method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 2}}},
)
job = wait(job, ["succeeded"])
found["status"] = job.status
assert job.trained_tokens > 0 and job.seed == 7 and job.metadata == {"from": "python"}
events = list(client.fine_tuning.jobs.list_events(job.id, limit=2))  # pages of two
found["events"] = len(events) == len({event.id for event in events}) and any(
    event.type == "metrics" for event in events
)
checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job.id))
found["checkpoint"] = checkpoints[0].fine_tuned_model_checkpoint.startswith(job.fine_tuned_model)
found["result"] = client.files.content(job.result_files[0]).text.splitlines()[0]

answer = client.chat.completions.create(
    model=job.fine_tuned_model,
    messages=[{"role": "user", "content": "Say one"}],
    max_tokens=4,
    temperature=0,
)
pieces = client.chat.completions.create(
    model=job.fine_tuned_model,
    messages=[{"role": "user", "content": "Say one"}],
    max_tokens=4,
    temperature=0,
    stream=True,
)
streamed = "".join(piece.choices[0].delta.content or "" for piece in pieces)
found["streamed"] = streamed == answer.choices[0].message.content
text = client.completions.create(model=job.fine_tuned_model, prompt="Say", max_tokens=4, temperature=0)
found["text"] = isinstance(text.choices[0].text, str)

long = client.fine_tuning.jobs.create(
    model=model, training_file=file.id, extra_body={"compact": {"maxSteps": 1000000}}
)
wait(long, ["running"])
client.fine_tuning.jobs.pause(long.id)
wait(client.fine_tuning.jobs.retrieve(long.id), ["paused"])
client.fine_tuning.jobs.resume(long.id)
found["cancelled"] = wait(client.fine_tuning.jobs.cancel(long.id), ["cancelled"]).status
assert [one.id for one in client.fine_tuning.jobs.list(limit=1)] == [long.id, job.id]

found["errors"] = [
    code_of(lambda: client.fine_tuning.jobs.create(model="none", training_file=file.id)),
    code_of(lambda: client.fine_tuning.jobs.create(model=model, training_file="file-none")),
    code_of(lambda: client.files.create(file=("broken.jsonl", io.BytesIO(b'{"text": 1')), purpose="fine-tune")),
    code_of(lambda: client.fine_tuning.jobs.cancel(job.id)),
    code_of(lambda: openai.OpenAI(api_key="sk-wrong", max_retries=0).models.list()),
]
found["deleted"] = client.files.delete(file.id).deleted
print(json.dumps(found))
