variable "name" {
  type        = string
  description = "Name of the recipe: names and tags everything here."
}

variable "region" {
  type        = string
  description = "AWS region."
}

variable "bucket" {
  type        = string
  description = "Bucket of code, data, models, results and logs."
}

variable "prefix" {
  type        = string
  description = "Folder in the bucket, without slashes at its ends; empty: the whole bucket."
}

variable "create_bucket" {
  type        = bool
  description = "false: the bucket exists, and its settings are not ours."
}

variable "log_days" {
  type        = number
  description = "Logs of EMR are deleted after so many days."
}

variable "cluster" {
  type        = bool
  description = "false: no cluster here; `filon train --on emr` makes one for each job."
}

variable "release" {
  type        = string
  description = "EMR release (version lane)."
}

variable "primary_type" {
  type        = string
  description = "Instance type of the primary node."
}

variable "primary_disk_gib" {
  type        = number
  description = "Disk of the primary node."
}

variable "core_type" {
  type        = string
  description = "Instance type of the core nodes."
}

variable "core_count" {
  type        = number
  description = "Core nodes."
}

variable "core_disk_gib" {
  type        = number
  description = "Size of each of a core node's two disks."
}

variable "task_type" {
  type        = string
  description = "Instance type of the task nodes."
}

variable "task_count" {
  type        = number
  description = "Task nodes to begin with; with task_max, at least one, which scaling takes away when nothing runs."
}

variable "task_max" {
  type        = number
  description = "Task nodes that managed scaling may add up to; 0: task_count, without managed scaling."
}

variable "task_spot" {
  type        = bool
  description = "Task nodes on the spot market."
}

variable "task_bid" {
  type        = string
  description = "Most that an hour of a task node may cost on the spot market, in dollars."
}

variable "idle_minutes" {
  type        = number
  description = "The cluster ends after so many idle minutes."
}

variable "spark_conf" {
  type        = map(string)
  description = "Properties of Spark on the cluster."
}

variable "subnet" {
  type        = string
  description = "Subnet that exists; empty: a network is made."
}

variable "vpc_cidr" {
  type        = string
  description = "Addresses of the network that is made."
}

variable "ssh_cidrs" {
  type        = list(string)
  description = "Addresses that may reach the primary node by SSH; SSM needs none."
}

variable "budget_dollars" {
  type        = number
  description = "Monthly budget of what carries this project's tag; alerts at 80 % spent and 100 % foreseen."
}

variable "budget_emails" {
  type        = list(string)
  description = "Who is alerted by mail; anybody else may subscribe to the topic."
}

variable "tags" {
  type        = map(string)
  description = "Further tags of everything."
}
