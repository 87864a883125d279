// Package e2e looks at the action from outside: its image, started as GitHub's runner starts it, and the workflows in
// examples/ under act, against the sandbox. `make e2e` runs it (build tag e2e); it needs Docker.
package e2e
