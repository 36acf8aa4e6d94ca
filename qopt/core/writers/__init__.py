"""Models as files for solvers: a linear model as arrays with names, and a writer for each format of text."""
