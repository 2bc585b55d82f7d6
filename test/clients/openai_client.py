"""The Python package of OpenAI against a running coordinator: each body and chunk is held against the package's own models. Prints what it saw as JSON."""

import json
import sys
import time

import openai
from openai.types import Batch, Completion, FileDeleted, FileObject, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response

base_url, key, model = sys.argv[1:4]
client = openai.OpenAI(base_url=base_url, api_key=key)
messages = [{"role": "user", "content": "Name three colours."}]
seen = {}


def refused(name, call):
    try:
        call()
    except openai.APIStatusError as error:
        seen[name] = [type(error).__name__, error.status_code, error.code]
        return
    raise AssertionError(f"{name} was not refused")


listed = client.models.list()
seen["models"] = [Model.model_validate(one.model_dump()).id for one in listed.data]

raw = client.chat.completions.with_raw_response.create(model=model, messages=messages, max_tokens=24, temperature=0, logprobs=True, top_logprobs=2)
whole = ChatCompletion.model_validate_json(raw.text)
seen["requestId"] = raw.headers["x-request-id"]
seen["whole"] = whole.choices[0].message.content
seen["logprobs"] = len(whole.choices[0].logprobs.content)

text, usage = "", None
stream = client.chat.completions.create(
    model=model, messages=messages, max_tokens=24, temperature=0, stream=True, stream_options={"include_usage": True}
)
for chunk in stream:
    ChatCompletionChunk.model_validate(chunk.model_dump())
    text += chunk.choices[0].delta.content or "" if chunk.choices else ""
    usage = chunk.usage or usage
seen["streamed"] = text
seen["usage"] = usage.total_tokens

raw = client.completions.with_raw_response.create(model=model, prompt="The capital of France is", max_tokens=4, temperature=0)
seen["completion"] = Completion.model_validate_json(raw.text).choices[0].text

raw = client.completions.with_raw_response.create(model=model, prompt="The capital of France is Paris", max_tokens=0, echo=True, logprobs=1)
body = json.loads(raw.text)
told = body["choices"][0]["logprobs"]
# OpenAI's servers, and others that harnesses ask, say null of the first token; the package's models have no word for it, and its client does not ask them.
seen["echoedFirst"] = [told["token_logprobs"][0], told["top_logprobs"][0]]
told["token_logprobs"][0], told["top_logprobs"][0] = -1.0, {}
echoed = Completion.model_validate(body).choices[0]
seen["echoed"] = echoed.text
seen["echoedLogprobs"] = [value < 0 for value in echoed.logprobs.token_logprobs]
seen["echoedTokens"] = "".join(echoed.logprobs.tokens)

parameters = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
tool = {"name": "get_weather", "description": "The weather of a city", "parameters": parameters}
weather = [{"role": "user", "content": "How is the weather in Rome?"}]
required = {"model": model, "tool_choice": "required", "parallel_tool_calls": False}
raw = client.chat.completions.with_raw_response.create(
    **required, messages=weather, max_tokens=120, tools=[{"type": "function", "function": tool}]
)
called = ChatCompletion.model_validate_json(raw.text).choices[0]
seen["called"] = [called.finish_reason, called.message.tool_calls[0].function.name, list(json.loads(called.message.tool_calls[0].function.arguments))]
flat = [{"type": "function", "strict": True, **tool}]
raw = client.responses.with_raw_response.create(**required, input=weather, max_output_tokens=120, tools=flat)
call = Response.model_validate_json(raw.text).output[0]
seen["responseCalled"] = [call.type, call.name, list(json.loads(call.arguments))]
deltas = ""
for event in client.responses.create(**required, input=weather, max_output_tokens=120, tools=flat, stream=True):
    if event.type == "response.function_call_arguments.delta":
        deltas += event.delta
    if event.type == "response.completed":
        seen["responseCallStreamed"] = Response.model_validate(event.response.model_dump()).output[0].arguments == deltas

line = {"custom_id": "one", "method": "POST", "url": "/v1/chat/completions", "body": {"model": model, "messages": messages, "max_tokens": 24, "temperature": 0}}
file = FileObject.model_validate(client.files.create(file=("questions.jsonl", json.dumps(line).encode()), purpose="batch").model_dump())
batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
while batch.status not in ("completed", "failed", "expired", "cancelled"):
    time.sleep(0.5)
    batch = Batch.model_validate(client.batches.retrieve(batch.id).model_dump())
answered = json.loads(client.files.content(batch.output_file_id).text)
seen["batch"] = [batch.status, batch.request_counts.completed, answered["custom_id"]]
seen["batchAnswer"] = ChatCompletion.model_validate(answered["response"]["body"]).choices[0].message.content
seen["fileDeleted"] = FileDeleted.model_validate(client.files.delete(file.id).model_dump()).deleted

kept = client.responses.create(model=model, input="Name a colour.", max_output_tokens=4, store=True)
seen["kept"] = Response.model_validate(client.responses.retrieve(kept.id).model_dump()).output_text == kept.output_text
client.responses.delete(kept.id)
refused("gone", lambda: client.responses.retrieve(kept.id))

raw = client.responses.with_raw_response.create(model=model, input=messages, max_output_tokens=24, temperature=0)
seen["response"] = Response.model_validate_json(raw.text).output_text
seen["responseStreamed"] = ""
for event in client.responses.create(model=model, input=messages, max_output_tokens=24, temperature=0, stream=True):
    if event.type == "response.output_text.delta":
        seen["responseStreamed"] += event.delta
    if event.type in ("response.completed", "response.incomplete"):
        seen["responseEnd"] = Response.model_validate(event.response.model_dump()).output_text

refused("badKey", lambda: openai.OpenAI(base_url=base_url, api_key="no key").models.list())
refused("noModel", lambda: client.chat.completions.create(model="gpt-4", messages=messages))
refused("noFunctions", lambda: client.chat.completions.create(model=model, messages=messages, functions=[{"name": "f"}]))
refused("noEmbeddings", lambda: client.embeddings.create(model=model, input="x"))
refused("tooHot", lambda: client.chat.completions.create(model=model, messages=messages, temperature=3))

print(json.dumps(seen))
