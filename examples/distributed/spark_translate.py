"""Translates a text file with Apache Spark; a line's translation does not depend on its neighbours, so every retry gives the same.

    spark-submit spark_translate.py pipe INPUT OUTPUT 64 translate --threads 1
    spark-submit spark_translate.py table INPUT OUTPUT 64 translate --threads 1

The number is how many partitions INPUT is cut into. `translate` must be there on every worker, and each core that Spark uses there
(spark.executor.cores) runs one, so one thread each is right. Outside of the JVM's heap it needs the memory that docs/scale.md tells:
spark.executor.memoryOverhead.

- pipe: rdd.pipe, text to text. `cat OUTPUT/part-*` is what `translate INPUT` prints, byte for byte.
- table: mapInPandas, to Parquet with the columns position (the byte of INPUT where a line begins: sort by it), text and translation;
  for tables that have text among other columns.
"""

import json
import os
import shlex
import subprocess
import sys
from functools import partial

from pyspark.sql import SparkSession


def read_lines(spark, path, partitions):
    """An RDD of (position, line). Line feeds alone end lines, as `translate` has it; textFile would cut at carriage returns, too."""
    hadoop = spark.sparkContext._jvm.org.apache.hadoop.fs.Path(path)
    size = hadoop.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()).getContentSummary(hadoop).getLength()
    return spark.sparkContext.newAPIHadoopFile(
        path,
        "org.apache.hadoop.mapreduce.lib.input.TextInputFormat",
        "org.apache.hadoop.io.LongWritable",
        "org.apache.hadoop.io.Text",
        conf={
            "textinputformat.record.delimiter": "\n",
            "mapreduce.input.fileinputformat.split.maxsize": str(max(1, -(-size // partitions))),
        },
    )


def pipe_lines(lines, command):
    """An RDD of translations; one process for each partition.

    Without checkCode, a process that is killed would shorten the output and nobody would notice. Without env it would have no
    environment at all, not even a PATH.
    """
    return lines.pipe(shlex.join(command), env=dict(os.environ), checkCode=True)


def translate_batches(batches, command):
    """For mapInPandas: adds the column `translation`; one process for each batch, whose start is a small part of its time.

    Spark makes batches of spark.sql.execution.arrow.maxRecordsPerBatch rows, 10,000 if nothing else is said.
    """
    command = [*command, "--json-input", "--format", "json"]
    for batch in batches:
        requests = "".join(json.dumps({"text": text or ""}) + "\n" for text in batch["text"])
        # A status other than 0 is an exception, upon which Spark runs the task again.
        answers = subprocess.run(command, input=requests.encode(), stdout=subprocess.PIPE, check=True).stdout.splitlines()
        yield batch.assign(translation=[json.loads(answer)["translation"] for answer in answers])


def main(method, source, target, partitions, *command):
    spark = SparkSession.builder.appName("translate").getOrCreate()
    lines = read_lines(spark, source, int(partitions))
    if method == "pipe":
        pipe_lines(lines.values(), command).saveAsTextFile(target)
    elif method == "table":
        table = lines.toDF("position long, text string")
        schema = "position long, text string, translation string"
        table.mapInPandas(partial(translate_batches, command=command), schema).write.parquet(target)
    else:
        sys.exit(f"{method}: the method is pipe or table")
    spark.stop()


if __name__ == "__main__":
    if len(sys.argv) < 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
