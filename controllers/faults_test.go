package controllers_test

// madeHeader is on each answer that did not come from the API server.
const madeHeader = "X-Made-By-Test"
