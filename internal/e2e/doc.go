// Package e2e tests the action from outside, against the sandbox: its image, started as GitHub's runner starts it, and
// the workflows in examples/ under act. `make e2e` runs it (build tag e2e); it needs Docker. `make examples`
// runs the application in examples/tenant-routing (build tag examples); it needs Node.js.
package e2e
