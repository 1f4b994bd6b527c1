"use strict";

module.exports.authorize = async (event) => ({
  principalId: "bench",
  policyDocument: {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "execute-api:Invoke", Resource: event.methodArn }],
  },
});

module.exports.socket = async () => ({ statusCode: 200 });

// Tells a client its connection id, as API Gateway's error for a message without a route does.
module.exports.id = async (event) => {
  const { connectionId } = event.requestContext;
  await fetch(`${process.env.BENCH_URL}/@connections/${encodeURIComponent(connectionId)}`, {
    method: "POST",
    body: JSON.stringify({ connectionId }),
  });
  return { statusCode: 200 };
};
