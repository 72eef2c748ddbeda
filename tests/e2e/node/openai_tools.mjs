// The OpenAI SDK for Node: tools, answers held to a schema, responses. Prints one JSON object of what it saw.
import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const given = { model, temperature: 0 };
const user = (content) => ({ role: "user", content });
const question = user("What is the weather in Rome?");
const parameters = z.object({ city: z.string() });
const weather = { name: "get_weather", description: "Get the weather in a city", parameters };
const seen = {};

const run = client.chat.completions.runTools({
  ...given, messages: [question],
  tools: [zodFunction({ ...weather, function: async () => "sunny, 21 degrees" })],
});
seen.told = await run.finalContent();
const [, called, , said] = run.messages;
seen.called = called.tool_calls[0].function.parsed_arguments;
seen.reasoned = [called.reasoning_content, said.reasoning_content];

const person = z.object({ name: z.string(), age: z.number().int() });
const parsed = await client.chat.completions.parse({
  ...given, response_format: zodResponseFormat(person, "person"),
  messages: [user("Extract the name and age as JSON: Maria is 31 years old.")],
});
seen.person = parsed.choices[0].message.parsed;
seen.personReasoning = parsed.choices[0].message.reasoning_content;

const begun = await client.chat.completions.create({
  ...given, model: "deepseek-chat",
  messages: [user("Count from 3 to 9"), { role: "assistant", content: "3, 4, 5,", prefix: true }],
});
seen.begun = begun.choices[0].message.content;

const response = await client.responses.create({ ...given, input: "What is 17 + 25?" });
seen.response = [response.output.map((item) => item.type), response.output_text];
seen.responseReasoning = response.output[0].content[0].text;
seen.deltas = { reasoning: "", output: "" };
const events = await client.responses.create({ ...given, input: "What is 17 + 25?", stream: true });
for await (const event of events) {
  if (event.type === "response.reasoning_text.delta") seen.deltas.reasoning += event.delta;
  if (event.type === "response.output_text.delta") seen.deltas.output += event.delta;
  seen.last = event.type;
}

const tools = [{ ...weather, type: "function", parameters: z.toJSONSchema(parameters), strict: true }];
const first = await client.responses.create({ ...given, input: [question], tools });
const call = first.output.find((item) => item.type === "function_call");
seen.functionCall = [call.name, JSON.parse(call.arguments)];
const output = { type: "function_call_output", call_id: call.call_id, output: "sunny, 21 degrees" };
const input = [question, ...first.output, output];
seen.functionTold = (await client.responses.create({ ...given, input, tools })).output_text;
console.log(JSON.stringify(seen));
