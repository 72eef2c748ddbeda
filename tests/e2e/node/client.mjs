// The OpenAI SDK for Node against a running server: prints one JSON object of what it saw.
import OpenAI from "openai";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "What is 17 + 25?" }];
const seen = {};

const whole = await client.chat.completions.create({
  model, messages, temperature: 0, thinking: { type: "enabled" },
});
seen.content = whole.choices[0].message.content;
seen.reasoning = whole.choices[0].message.reasoning_content;
seen.hitAndMiss = whole.usage.prompt_cache_hit_tokens + whole.usage.prompt_cache_miss_tokens;
seen.prompt = whole.usage.prompt_tokens;

const stream = await client.chat.completions.create({
  model, messages, temperature: 0, stream: true, stream_options: { include_usage: true },
  thinking: { type: "disabled" },
});
seen.streamed = "";
seen.reasoningInStream = false;
for await (const chunk of stream) {
  const delta = chunk.choices[0]?.delta ?? {};
  seen.streamed += delta.content ?? "";
  seen.reasoningInStream ||= "reasoning_content" in delta;
  seen.usage = chunk.usage ?? seen.usage;
}

const left = await client.chat.completions.create({
  model, messages, stream: true, max_tokens: 1500, ignore_eos: true,
});
for await (const _ of left) break; // leaving the loop aborts the request

seen.models = (await client.models.list()).data.map((m) => m.id);
try {
  await client.chat.completions.create({ model: "nobody", messages });
} catch (error) {
  seen.error = { name: error.constructor.name, status: error.status, code: error.code };
}
console.log(JSON.stringify(seen));
