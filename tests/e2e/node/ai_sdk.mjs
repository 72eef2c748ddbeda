// Vercel's AI SDK with its DeepSeek provider against a running server: prints one JSON object of what it saw.
import { createDeepSeek } from "@ai-sdk/deepseek";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [baseURL, apiKey, name] = process.argv.slice(2);
globalThis.AI_SDK_LOG_WARNINGS = false;
const deepseek = createDeepSeek({ baseURL, apiKey });
const given = { model: deepseek(name), temperature: 0, maxRetries: 0 };
const sum = { ...given, prompt: "What is 17 + 25?" };
const off = { providerOptions: { deepseek: { thinking: { type: "disabled" } } } };
const weather = tool({
  description: "Get the weather in a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async () => "sunny, 21 degrees",
});
const asked = {
  ...given, prompt: "What is the weather in Rome?", tools: { get_weather: weather },
  stopWhen: stepCountIs(3),
};
const step = (s) => ({
  reasoning: s.reasoningText ?? null, calls: s.toolCalls.map((c) => [c.toolName, c.input]), finish: s.finishReason,
});
const seen = {};

const whole = await generateText(sum);
seen.whole = { text: whole.text, reasoning: whole.reasoningText };
seen.reasoningTokens = whole.usage.outputTokenDetails.reasoningTokens;
seen.cache = whole.providerMetadata.deepseek;
seen.input = whole.usage.inputTokens;
const plain = await generateText({ ...sum, ...off });
seen.plain = { text: plain.text, reasoning: plain.reasoningText ?? null };

const stream = streamText(sum);
seen.streamed = { text: "", reasoning: "" };
seen.order = [];
for await (const part of stream.fullStream) {
  const kind = { "text-delta": "text", "reasoning-delta": "reasoning" }[part.type];
  if (kind) seen.streamed[kind] += part.text;
  if (kind && seen.order.at(-1) !== kind) seen.order.push(kind);
}

const steps = await generateText(asked);
seen.tools = { text: steps.text, steps: steps.steps.map(step) };
const flowing = streamText(asked);
seen.streamedTools = { text: await flowing.text, steps: (await flowing.steps).map(step) };

const schema = z.object({ name: z.string(), age: z.number().int() });
const prompt = "Extract the name and age as JSON: Maria is 31 years old.";
seen.person = (await generateText({ ...given, prompt, output: Output.object({ schema }) })).output;
try {
  await generateText({ ...sum, model: deepseek("nobody") });
} catch (error) {
  seen.error = { name: error.name, status: error.statusCode, message: error.message };
}
console.log(JSON.stringify(seen));
