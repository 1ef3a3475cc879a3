resource "aws_sns_topic" "budget" {
  name = local.scope.topic
  tags = local.tags
}

resource "aws_sns_topic_policy" "budget" {
  arn    = aws_sns_topic.budget.arn
  policy = templatefile("${path.module}/policies/budget_topic.json", local.scope)
}

resource "aws_budgets_budget" "filon" {
  name         = "${var.name}-emr"
  budget_type  = "COST"
  limit_amount = format("%.1f", var.budget_dollars)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"
  tags         = local.tags

  cost_filter {
    name   = "TagKeyValue"
    values = [format("user:filon-project$%s", var.name)] # KEY$VALUE; a $ before a brace would be HCL's escape of a literal one
  }

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }
    content {
      notification_type          = notification.key
      comparison_operator        = "GREATER_THAN"
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      subscriber_email_addresses = var.budget_emails
      subscriber_sns_topic_arns  = [aws_sns_topic.budget.arn]
    }
  }

  depends_on = [aws_sns_topic_policy.budget]
}
