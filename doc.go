// Package slogworks is the vocabulary that the packages of this module share:
// logger names, a view of a record with all its attributes, predicates, batches
// of kept records, and the verbs that reach every stage of a pipeline.
package slogworks
