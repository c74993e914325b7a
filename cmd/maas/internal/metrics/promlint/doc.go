// Package promlint tries the linter of Prometheus on the metrics of regions and racks. It has tests only.
package promlint
