// Runs the audit of GraphQL over HTTP against a server, and prints one line for each check.
import { serverAudits } from 'graphql-http';

const url = process.argv[2];
let failed = 0;
for (const audit of serverAudits({ url, fetchFn: fetch })) {
  const result = await audit.fn();
  if (result.status === 'ok') {
    console.log(`ok ${audit.id} ${audit.name}`);
  } else {
    failed += 1;
    console.log(`${result.status} ${audit.id} ${audit.name}: ${result.reason}`);
  }
}
process.exitCode = failed ? 1 : 0;
