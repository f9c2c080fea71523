# Foreach, for R: runs one phase of a script, and keeps what the next one needs beside this file.
#
#   Rscript .foreach/run.R getargs SCRIPT FUNCTION BATCH_SIZE [ARG...]  -> batches.csv, extra.rds, elements/BATCH/N.rds
#   Rscript .foreach/run.R foreach SCRIPT FUNCTION KEY                  extra.rds, elements/N.rds -> result.rds
#   Rscript .foreach/run.R gather SCRIPT FUNCTION                       extra.rds, batches.csv, results/TASK/...
#
# This one file is for R 3.5 and newer, and needs nothing but what comes with it. An error of the script ends it with
# status 1, with the script's own calls, and with a line that says what was being done.

library(methods)

# All of this is in an environment of its own: the workspace is the script's.
.foreach <- local({
  words <- commandArgs(trailingOnly = TRUE)
  Encoding(words)[validUTF8(words)] <- "UTF-8"
  phase <- words[[1]]
  script <- words[[2]]
  name <- words[[3]]
  here <- normalizePath(dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[[1]])))
  beside <- function(...) file.path(here, ...)

  # How many of the calls on the stack are not the script's own. Those of source() are these four.
  depth <- 4

  # What is being done, for the line below an error: words, and the value to be shown after them.
  doing <- list("", NULL)
  now <- function(words, ...) doing <<- list(words, ...)

  # The phases

  getargs <- function() {
    size <- as.integer(words[[4]])
    args <- as.list(words[-(1:4)])
    if (length(args)) now(sprintf("in %s, with the arguments ", name), unlist(args))
    else now(sprintf("in %s, without arguments", name))
    returned <- checked(call_script(args))
    keep(returned$extra_args, beside("extra.rds"))
    starts <- seq.int(1, length(returned$elements), by = size)
    keys <- vapply(seq_along(starts), function(batch) {
      write_batch(batch, returned$elements, starts[[batch]], size)
    }, "")
    writeLines(c("batch,key", paste(seq_along(keys), keys, sep = ",")), beside("batches.csv"))
  }

  foreach <- function() {
    now(sprintf("while it read what %s is to work on", name))
    extra <- readRDS(beside("extra.rds"))
    files <- sort(list.files(beside("elements"), full.names = TRUE), method = "radix")
    out <- file(beside("result.rds"), "wb")
    on.exit(close(out))
    serialize(list(key = words[[4]], count = length(files)), out, version = 2)
    for (number in seq_along(files)) {
      element <- readRDS(files[[number]])
      now(if (length(files) > 1) sprintf("on element %d of %d: ", number, length(files)) else "on the element ", element)
      serialize(call_script(c(list(element), extra)), out, version = 2)
    }
  }

  gather <- function() {
    now("while it read the results")
    extra <- readRDS(beside("extra.rds"))
    results <- ordered_results()
    now(sprintf("in %s, with a list of %d results", name, length(results)))
    call_script(c(list(results), extra))
  }

  # The script

  # Calls the function with symbols for its arguments, so that calls that are printed are short.
  call_script <- function(args) {
    where <- new.env(parent = globalenv())
    symbols <- sprintf("argument_%d", seq_along(args))
    for (number in seq_along(args)) assign(symbols[[number]], args[[number]], envir = where)
    depth <<- sys.nframe() + 2
    eval(as.call(c(as.name(name), structure(lapply(symbols, as.name), names = names(args)))), where)
  }

  find_function <- function() {
    defined <- Filter(function(each) is.function(globalenv()[[each]]), ls(globalenv()))
    if (name %in% defined) return(invisible())
    close <- agrep(name, defined, value = TRUE, max.distance = 0.4)
    advice <- if (length(close)) sprintf("did you mean '%s'?", close[[1]]) else paste("it has:", toString(defined))
    wrong("%s has no function '%s'; %s", script, name, advice)
  }

  # What it returns, and what becomes of it

  checked <- function(returned) {
    if (!is.list(returned) || is.null(names(returned)) || !("elements" %in% names(returned))) {
      wrong("what %s returned is %s; expected %s", name, a(returned),
            "list(elements = ..., extra_args = list(...)), where extra_args may be missing")
    }
    for (other in setdiff(names(returned), c("elements", "extra_args"))) {
      wrong("%s returned '%s'; there are only 'elements' and 'extra_args'", name, other)
    }
    extra <- returned[["extra_args"]]
    if (is.data.frame(extra) || !(is.null(extra) || is.vector(extra))) {
      wrong("extra_args is %s; write extra_args = list(...), a list of arguments", a(extra))
    }
    list(elements = checked_elements(returned[["elements"]]), extra_args = as.list(extra))
  }

  checked_elements <- function(elements) {
    if (inherits(elements, "POSIXlt")) elements <- as.POSIXct(elements)
    if (is.data.frame(elements)) {
      wrong("elements is a data.frame; write split(df, seq_len(nrow(df))) for its rows, as.list(df) for its columns")
    }
    if (length(dim(elements)) > 1) {
      wrong("elements is %s; write split(m, row(m)) for its rows, split(m, col(m)) for its columns", a(elements))
    }
    if (length(elements) == 0) wrong("%s returned no elements: there is nothing to do", name)
    if (!is.list(elements) && !is.atomic(elements)) wrong("elements is %s; write a list or a vector", a(elements))
    elements
  }

  # Equal batches are equal folders.
  write_batch <- function(batch, elements, start, size) {
    folder <- beside("elements", batch)
    dir.create(folder, recursive = TRUE)
    members <- seq.int(start, min(start + size - 1, length(elements)))
    files <- file.path(folder, sprintf("%0*d.rds", nchar(size - 1), members - start))
    for (number in seq_along(members)) keep(elements[[members[[number]]]], files[[number]])
    sums <- tools::md5sum(files)
    if (length(sums) == 1) sums[[1]] else md5_of(sums)
  }

  md5_of <- function(lines) {
    path <- tempfile()
    on.exit(unlink(path))
    writeLines(lines, path)
    tools::md5sum(path)[[1]]
  }

  # In the order of the batches. Of equal batches, the first has the result of the first task.
  ordered_results <- function() {
    keys <- utils::read.csv(beside("batches.csv"), colClasses = "character")$key
    tasks <- sort(as.integer(list.files(beside("results"))))
    paths <- beside("results", tasks, ".foreach", "result.rds")
    owners <- vapply(paths, function(path) read_results(path, only_key = TRUE), "")
    turn <- function(keys) ave(seq_along(keys), keys, FUN = seq_along)
    found <- match(paste(keys, turn(keys)), paste(owners, turn(owners)))
    if (anyNA(found)) wrong("batch %d has no result: its task ended without one", which(is.na(found))[[1]])
    do.call(c, lapply(paths[found], read_results))
  }

  read_results <- function(path, only_key = FALSE) {
    from <- file(path, "rb")
    on.exit(close(from))
    head <- unserialize(from)
    if (only_key) head$key else lapply(seq_len(head$count), function(number) unserialize(from))
  }

  # Version 2 is what every R since 1.4 reads.
  keep <- function(value, path) saveRDS(value, path, version = 2, compress = FALSE)

  # What is printed

  wrong <- function(...) end(phase, ": ", sprintf(...))

  # A short text of any value.
  shown <- function(value) {
    text <- paste(deparse(value, width.cutoff = 80L, nlines = 2L), collapse = " ")
    if (nchar(text) > 80) paste0(substr(text, 1, 77), "...") else text
  }

  a <- function(value) {
    type <- class(value)[[1]]
    paste(if (grepl("^[aeiou]", type, ignore.case = TRUE)) "an" else "a", type)
  }

  # R has printed the error itself; this adds the script's calls that led to it, and what was being done.
  show_error <- function() {
    calls <- Filter(function(call) !identical(call[[1]], as.name("stop")), head(sys.calls(), -1))
    for (call in calls[seq_along(calls) > depth]) message("  ", shown(call))
    end(phase, " failed ", doing[[1]], if (length(doing) > 1) shown(doing[[2]]))
  }

  end <- function(...) {
    message(...)
    quit(save = "no", status = 1, runLast = FALSE)
  }

  now(sprintf("while %s was loaded", script))
  if (!file.exists(script)) wrong("there is no file '%s' in %s", script, getwd())
  environment()
})

options(warn = 1, showErrorCalls = FALSE, error = quote(.foreach$show_error()))
source(.foreach$script, keep.source = FALSE)
.foreach$find_function()
.foreach[[.foreach$phase]]()
