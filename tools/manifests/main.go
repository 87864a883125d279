// Command manifests checks Kubernetes manifests as the API server would read them: a field that does not exist, or has
// another type, is an error.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	var errs []error
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// check decodes every document of a file strictly.
func check(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for i, document := range bytes.Split(text, []byte("\n---\n")) {
		var head struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
		}
		if err := yaml.Unmarshal(document, &head); err != nil {
			return fmt.Errorf("document %d: %w", i+1, err)
		}
		var object any
		switch head.APIVersion + " " + head.Kind {
		case "batch/v1 Job":
			object = &batch.Job{}
		case "batch/v1 CronJob":
			object = &batch.CronJob{}
		case "v1 PersistentVolumeClaim":
			object = &core.PersistentVolumeClaim{}
		default:
			return fmt.Errorf("document %d: a %s %s is not known here", i+1, head.APIVersion, head.Kind)
		}
		if err := yaml.UnmarshalStrict(document, object); err != nil {
			return fmt.Errorf("document %d: %w", i+1, err)
		}
	}
	return nil
}
